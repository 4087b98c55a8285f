package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/kind-in-a-box/devbox/serving/runner"
)

// Why a pod ends.
var (
	errDeleted  = errors.New("the pod is deleted")
	errGone     = errors.New("the pod is gone")
	errNodeEnds = errors.New("the node ends")
	errDeadline = errors.New("the pod has run longer than its activeDeadlineSeconds")
)

// pod is one pod of the node. Its goroutine is run, which starts one for
// every container and one that writes the status, and waits for them.
type pod struct {
	node    *node
	object  *corev1.Pod // what is run: as first seen, with the ports moved
	place   place
	network *podNetwork             // nil: it is on the machine's
	stop    context.CancelCauseFunc // ends the life of the pod
	kill    context.CancelFunc      // ends the patience with what still runs
	deleted signal                  // the API server wants the pod to go
	gone    signal                  // the API server has it no more

	mu       sync.Mutex
	latest   *corev1.Pod      // as last seen
	written  corev1.PodStatus // as last written
	observed observed
	changed  chan struct{} // has a token when the status must be looked at
	deadline time.Time     // of the end, once it has begun
	timer    *time.Timer   // calls kill then
	logs     map[string]*logFile
	entries  map[string]*runner.Spec // of containers that run, by their names
}

// newPod returns a pod to be run. life is done when it is to end, limit when
// what of it still runs is to be killed.
func newPod(ctx context.Context, n *node, object *corev1.Pod) (p *pod, life, limit context.Context) {
	life, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	limit, kill := context.WithCancel(context.WithoutCancel(ctx))
	p = &pod{
		node: n, object: object.DeepCopy(), stop: stop, kill: kill, deleted: newSignal(), gone: newSignal(),
		changed: make(chan struct{}, 1), logs: map[string]*logFile{}, entries: map[string]*runner.Spec{},
	}
	reason := "ContainerCreating"
	if len(object.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	p.observed = observed{
		accepted: time.Now(),
		init:     waitingFor(object.Spec.InitContainers, reason, object.Status.InitContainerStatuses),
		main:     waitingFor(object.Spec.Containers, reason, object.Status.ContainerStatuses),
	}
	if podutil.IsPodTerminal(object) {
		p.observed.init, p.observed.main = object.Status.InitContainerStatuses, object.Status.ContainerStatuses
	}
	if t := object.Status.StartTime; t != nil {
		p.observed.accepted = t.Time
	}
	p.written = *object.Status.DeepCopy()
	p.see(object)
	return p, life, limit
}

// see takes what is new of the pod.
func (p *pod) see(object *corev1.Pod) {
	p.mu.Lock()
	p.latest = object
	p.mu.Unlock()
	p.ring()
	if object.DeletionTimestamp != nil {
		var grace time.Duration
		if s := object.DeletionGracePeriodSeconds; s != nil {
			grace = time.Duration(*s) * time.Second
		}
		p.end(errDeleted, grace)
		p.deleted.give()
	}
}

// leave ends the pod at once: the API server has it no more.
func (p *pod) leave() {
	p.end(errGone, 0)
	p.deleted.give()
	p.gone.give()
}

// end tells the pod to end, and when to be killed if it has not. Told again,
// it can only have less time.
func (p *pod) end(cause error, grace time.Duration) {
	p.stop(cause)
	p.mu.Lock()
	defer p.mu.Unlock()
	deadline := time.Now().Add(grace)
	switch {
	case p.timer == nil:
		p.deadline, p.timer = deadline, time.AfterFunc(grace, p.kill)
	case deadline.Before(p.deadline):
		p.deadline = deadline
		p.timer.Reset(grace)
	}
}

// run runs the pod until it is gone, or ctx ends.
//
//	see --> live --told to end, or all containers have ended--> last status
//	    --> deleted --> delete --> gone
func (p *pod) run(ctx, life, limit context.Context) {
	defer p.release()
	disarm := context.AfterFunc(ctx, func() { p.end(errNodeEnds, goodbye) })
	defer disarm()
	if life.Err() == nil && !podutil.IsPodTerminal(p.object) {
		settled := p.settle() // first, so that the first status has the address
		var writing sync.WaitGroup
		writing.Go(func() { p.report(ctx) })
		if settled {
			p.live(life, limit)
		}
		p.update(func(o *observed) { o.over = ctx.Err() == nil })
		writing.Wait()
		p.removeFiles(ctx, filepath.Join(p.dir(), volumesDir))
	}
	if p.deleted.wait(ctx) {
		p.delete(ctx)
	}
	if p.gone.wait(ctx) {
		p.removeFiles(ctx, p.dir())
	}
}

// settle gives the pod its address and ports. It returns false where the pod cannot be
// run here.
func (p *pod) settle() bool {
	if r := p.node.refuse(p.object); r != nil {
		p.update(func(o *observed) { o.refusal = r })
		p.node.events.warn(podReference(p.object, ""), r.reason, "%s", r.message)
		return false
	}
	place, err := p.node.addresses.take(placeBefore(p.object), &p.object.Spec, p.node.network != nil)
	if err != nil {
		p.update(func(o *observed) { o.refusal = &refusal{"OutOfAddresses", err.Error()} })
		return false
	}
	p.place = place
	if p.node.network == nil {
		movePorts(&p.object.Spec, place.ports)
	} else if p.network, err = newPodNetwork(p.node.network, p.object, place.address); err != nil {
		p.node.addresses.give(place)
		p.update(func(o *observed) { o.refusal = &refusal{"NetworkNotReady", err.Error()} })
		return false
	}
	p.update(func(o *observed) { o.address = place.address.String() })
	return true
}

// live runs the containers of the pod, and returns when none runs any more.
func (p *pod) live(life, limit context.Context) {
	defer p.node.addresses.give(p.place)
	if p.network != nil {
		defer p.network.close()
	}
	if s := p.object.Spec.ActiveDeadlineSeconds; s != nil {
		deadline := time.AfterFunc(time.Until(p.observed.accepted.Add(time.Duration(*s)*time.Second)), p.deadlineExceeded)
		defer deadline.Stop()
	}
	if !p.makeVolumes(life) {
		return
	}
	p.runContainers(life, limit)
}

// makeVolumes returns whether the pod has its volumes. What they need may
// come later than the pod; it waits for that until life is done.
func (p *pod) makeVolumes(life context.Context) bool {
	if len(p.object.Spec.Volumes) == 0 {
		return true
	}
	pause := newPause(firstRetry, lastRetry)
	for {
		err := p.sources().makeVolumes(life, filepath.Join(p.dir(), volumesDir))
		if err == nil {
			return true
		}
		if life.Err() != nil {
			return false
		}
		p.node.events.warn(podReference(p.object, ""), reasonFailedMount, "MountVolume.SetUp failed: %s", err)
		if !pause.wait(life) {
			return false
		}
	}
}

// runContainers runs init containers one after the other, those that stay
// beside the others, and then all others at once.
func (p *pod) runContainers(life, limit context.Context) {
	// Containers that stay end after those they are there for.
	staying, end := context.WithCancelCause(context.WithoutCancel(life))
	var sidecars, mains sync.WaitGroup
	defer sidecars.Wait()
	defer func() { end(context.Cause(life)) }()
	for i := range p.object.Spec.InitContainers {
		c := newContainer(p, &p.object.Spec.InitContainers[i], true)
		if !podutil.IsRestartableInitContainer(c.spec) {
			if !c.run(life, limit) {
				return
			}
			continue
		}
		sidecars.Go(func() { c.run(staying, limit) })
		if !c.up.wait(life) {
			return
		}
	}
	for i := range p.object.Spec.Containers {
		c := newContainer(p, &p.object.Spec.Containers[i], false)
		mains.Go(func() { c.run(life, limit) })
	}
	mains.Wait()
}

// deadlineExceeded ends a pod that was given so much time and no more.
func (p *pod) deadlineExceeded() {
	p.update(func(o *observed) {
		o.refusal = &refusal{"DeadlineExceeded", "Pod was active on the node longer than the specified deadline"}
	})
	p.end(errDeadline, gracePeriod(&p.object.Spec))
}

// delete tells the API server that nothing is left of the pod.
func (p *pod) delete(ctx context.Context) {
	pause := newPause(firstRetry, lastRetry)
	for {
		err := p.node.client.CoreV1().Pods(p.object.Namespace).Delete(ctx, p.object.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64(0)),
			Preconditions:      metav1.NewUIDPreconditions(string(p.object.UID)),
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
			return
		}
		p.node.log.Warn("deleting a pod that has ended; it is tried again", "pod", p.name(), "error", err)
		if !pause.wait(ctx) {
			return
		}
	}
}

// release frees what the pod's contexts hold.
func (p *pod) release() {
	p.end(errGone, 0)
	p.kill()
}

func (p *pod) removeFiles(ctx context.Context, path string) {
	if ctx.Err() != nil {
		return // the next node needs them
	}
	if err := os.RemoveAll(path); err != nil {
		p.node.log.Warn("removing the files of a pod", "pod", p.name(), "error", err)
	}
}

// The directories in a pod's own.
const (
	volumesDir    = "volumes"
	logsDir       = "logs"
	containersDir = "containers"
)

func (p *pod) dir() string { return p.node.podDir(p.object.UID) }

func (p *pod) name() string { return p.object.Namespace + "/" + p.object.Name }

func (p *pod) sources() sources {
	return sources{p.node.client, p.object, p.place.address.String(), p.node.machine.capacity}
}

// gracePeriod is how long the containers of a pod have to end.
func gracePeriod(spec *corev1.PodSpec) time.Duration {
	if s := spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}
