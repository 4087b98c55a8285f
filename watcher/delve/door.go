package delve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// FirstPort is where the first Door of a session is, which is where editors
// look for Delve.
const FirstPort = 2345

// Pods are the pods of a Service, the newest revision's first, and a channel
// that is closed when they may be others.
type Pods func(ctx context.Context) ([]corev1.Pod, <-chan struct{}, error)

// Door is an address on this machine by which debuggers reach the newest pod
// of a service.
type Door struct {
	listener net.Listener
	config   *rest.Config
	pods     Pods

	live   chan string // the revision that has become live last
	turn   sync.Mutex  // held by who comes, and by who has what stands go on
	all    sync.WaitGroup
	mu     sync.Mutex
	guests map[*guest]bool
}

// guest is a debugger that is let through.
type guest struct {
	revision string
	leave    func()
}

// PortError says that a Door's port is taken.
type PortError struct{ Port int }

func (e *PortError) Error() string {
	return fmt.Sprintf("port %d of 127.0.0.1, for debuggers, is taken", e.Port)
}

// Listen opens a port of 127.0.0.1 for debuggers, or, where others will do, the
// first that is free from there on.
func Listen(port int, others bool) (net.Listener, error) {
	const tries = 100
	for at := port; at < port+tries; at++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(at))) //nolint:noctx // it waits for nobody
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("opening a port for debuggers: %w", err)
		case !others:
			return nil, &PortError{port}
		}
	}
	return nil, &PortError{port}
}

// NewDoor is a door at a listener, which is the Door's from then on.
func NewDoor(listener net.Listener, config *rest.Config, pods Pods) *Door {
	return &Door{listener: listener, config: config, pods: pods, live: make(chan string, 1), guests: map[*guest]bool{}}
}

// Address is where debuggers connect to.
func (d *Door) Address() string { return d.listener.Addr().String() }

// Run lets debuggers through until ctx ends. What stands in a pod then goes on.
func (d *Door) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = d.listener.Close() })
	defer stop()
	d.all.Go(func() { d.follow(ctx) })
	for {
		here, err := d.listener.Accept()
		if err != nil {
			break
		}
		d.all.Go(func() { d.lead(ctx, here) })
	}
	d.all.Wait()
	d.release(context.WithoutCancel(ctx), func(string) bool { return true })
}

// Live says that a revision is live. Debuggers of others are then cut off, and
// what stands there goes on. It is called by one goroutine.
func (d *Door) Live(revision string) {
	select {
	case <-d.live: // it is not any more
	default:
	}
	d.live <- revision
}

// follow goes where the traffic goes, until ctx ends.
func (d *Door) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case revision := <-d.live:
			d.leaveOthers(ctx, revision)
		}
	}
}

func (d *Door) leaveOthers(ctx context.Context, revision string) {
	other := func(of string) bool { return of != revision }
	d.mu.Lock()
	for g := range d.guests {
		if other(g.revision) {
			g.leave()
		}
	}
	d.mu.Unlock()
	d.release(ctx, other)
}

// lead leads a debugger to the newest pod, once there is one, until either side
// ends it. What stands there goes on when the last of them has gone.
func (d *Door) lead(ctx context.Context, here net.Conn) {
	defer here.Close()
	guestCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	pod, err := d.newest(guestCtx)
	if err != nil {
		return
	}
	there, err := dial(guestCtx, d.config, pod)
	if err != nil {
		return
	}
	g := &guest{revision: pod.Labels[servingv1.RevisionLabel], leave: cancel}
	d.enter(g)
	join(guestCtx, here, there)
	d.exit(ctx, g)
}

// join copies between two connections until one ends or ctx does, and closes
// both.
func join(ctx context.Context, a, b io.ReadWriteCloser) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var both sync.WaitGroup
	copied := func(to io.Writer, from io.Reader) {
		defer cancel()
		_, _ = io.Copy(to, from) // whoever ended it knows why
	}
	both.Go(func() { copied(a, b) })
	both.Go(func() { copied(b, a) })
	<-ctx.Done()
	_ = a.Close()
	_ = b.Close()
	both.Wait()
}

func (d *Door) enter(g *guest) {
	d.turn.Lock()
	defer d.turn.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.guests[g] = true
}

func (d *Door) exit(ctx context.Context, g *guest) {
	d.turn.Lock() // whoever comes back now sets breakpoints afterwards
	defer d.turn.Unlock()
	if !d.last(g) || ctx.Err() != nil {
		return
	}
	d.release(ctx, func(revision string) bool { return revision == g.revision })
}

// last takes a debugger off the list and says whether no other is in its
// revision.
func (d *Door) last(g *guest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.guests, g)
	for other := range d.guests {
		if other.revision == g.revision {
			return false
		}
	}
	return true
}

// newest waits for a pod in which the program runs under Delve.
func (d *Door) newest(ctx context.Context) (*corev1.Pod, error) {
	for {
		pods, changed, err := d.pods(ctx)
		if err != nil {
			return nil, err
		}
		for i := range pods {
			if pods[i].DeletionTimestamp == nil && debugged(&pods[i]) {
				return &pods[i], nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-changed:
		}
	}
}

// debugged says whether a pod's program runs under Delve by now.
func debugged(pod *corev1.Pod) bool {
	if pod.Annotations[PortAnnotation] == "" {
		return false
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != servingv1.QueueContainer && c.State.Running == nil {
			return false
		}
	}
	return len(pod.Status.ContainerStatuses) > 0
}

// releaseLimit is how long what stands in a pod may take to go on.
const releaseLimit = 2 * time.Second

// release has the programs of some revisions go on. One that cannot be reached
// has ended, or will be.
func (d *Door) release(ctx context.Context, of func(revision string) bool) {
	ctx, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	pods, _, err := d.pods(ctx)
	if err != nil {
		return
	}
	var all sync.WaitGroup
	for i := range pods {
		if pod := &pods[i]; debugged(pod) && of(pod.Labels[servingv1.RevisionLabel]) {
			all.Go(func() {
				if there, err := dial(ctx, d.config, pod); err == nil {
					_ = release(ctx, there)
				}
			})
		}
	}
	all.Wait()
}
