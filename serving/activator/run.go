package activator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/settings"
	"github.com/kind-in-a-box/devbox/serving/stream"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// Config is what the activator is told.
type Config struct {
	// REST is how the API server is reached.
	REST *rest.Config
	// Address takes requests; HealthAddress, where there is one, answers
	// /healthz, /readyz and /metrics.
	Address, HealthAddress string
	// Pod is the one in which the activator runs; "" where it runs in none.
	Pod string
	// Stream is the URL of the controller's stream, or unix: and the path of
	// its socket.
	Stream string
	// Authority is the address of the mesh's certificate authority, host and
	// port; "" where there is no mesh.
	Authority string
	// Metrics, where there is one, is given the activator's numbers: it serves
	// them for several parts of one process.
	Metrics *proxy.Exposition
	// Front, where there is one, sees every request first, and hands on what is
	// the activator's.
	Front func(http.Handler) http.Handler
	// StreamToken is the file with the token that the controller asks for;
	// "" where it asks for none. Kubernetes renews such files.
	StreamToken string
	// HoldMemory is how many bytes the requests that wait for a pod may take
	// together (default 256 MiB, and at most half of the process' memory limit).
	HoldMemory int64
	// Quiet and Limit bound the leaving: the activator goes when no request
	// has come for Quiet (default 1 s), and after Limit (default 25 s) at the
	// latest.
	Quiet, Limit time.Duration
	// Upgraded says that upgraded connections are waited for too, within Limit:
	// the process ends with the activator, and they with the process.
	Upgraded bool
	Log      *slog.Logger
}

const (
	defaultQuiet = time.Second
	defaultLimit = 25 * time.Second // within the 30 s that Kubernetes gives a pod
)

// Run is the activator: it serves until ctx ends, then drains. It needs
// neither the API server nor the controller to go on serving what it knows.
func Run(ctx context.Context, c Config) error {
	if c.Quiet == 0 {
		c.Quiet = defaultQuiet
	}
	if c.Limit == 0 {
		c.Limit = defaultLimit
	}
	if c.HoldMemory == 0 {
		c.HoldMemory = holdMemory()
	}
	// Two lifetimes: what requests need outlives the last of them.
	under, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	a, err := newActivator(under, c)
	if err != nil {
		return err
	}
	var health net.Listener
	if c.HealthAddress != "" {
		if health, err = net.Listen("tcp", c.HealthAddress); err != nil {
			return fmt.Errorf("opening the health address: %w", err)
		}
	}
	group, under := errgroup.WithContext(under)
	group.Go(func() error { return a.watcher.cache.Start(under) })
	group.Go(func() error { a.client.Run(under); return nil })
	group.Go(func() error { a.roads.report(under); return nil })
	group.Go(func() error { return a.follow(under) })
	group.Go(func() error { a.tracer.Run(under); return nil })
	group.Go(func() error { a.mesh.run(under); return nil })
	group.Go(func() error {
		if health == nil {
			return nil
		}
		return proxy.Server{Listener: health, Handler: a.health(), Limit: time.Second, Log: c.Log}.Serve(under)
	})
	group.Go(func() error {
		defer stop()
		return a.serve(ctx, under, c)
	})
	return group.Wait()
}

// activator is the parts, put together.
type activator struct {
	watcher *watcher
	client  *stream.Client
	roads   *roads
	mesh    *meshed
	forward *forwarder
	drain   proxy.Drain
	metrics *proxy.Exposition
	known   chan struct{} // closed when the first table is made, and what comes can be taken
	traces  trace.Choice
	tracer  *trace.Tracer
	ready   atomic.Bool
	log     *slog.Logger
}

func newActivator(ctx context.Context, c Config) (*activator, error) {
	w, err := newWatcher(ctx, c.REST)
	if err != nil {
		return nil, err
	}
	a := &activator{
		watcher: w, known: make(chan struct{}), metrics: cmp.Or(c.Metrics, &proxy.Exposition{}),
		tracer: trace.New(proxy.Activator, mostSpans, c.Log), log: c.Log,
	}
	a.client = stream.NewClient(c.Stream, a.snapshot, c.Log)
	if a.mesh, err = newMeshed(c, a.client); err != nil {
		return nil, err
	}
	http1, h2c := a.mesh.transports()
	if c.StreamToken != "" {
		a.client.Token = func() (string, error) {
			token, err := os.ReadFile(c.StreamToken)
			return strings.TrimSpace(string(token)), err
		}
	}
	a.roads = newRoads(a.client, newRoom(c.HoldMemory), (&prober{transport: http1, log: c.Log}).run)
	a.metrics.Add(a.roads.writeMetrics)
	a.metrics.Add(a.mesh.writeMetrics)
	a.metrics.Add(func(w io.Writer) { a.tracer.WriteMetrics(w, "") })
	if c.Metrics == nil {
		a.metrics.Add(proxy.WriteProcess)
	}
	a.forward = &forwarder{roads: a.roads, drain: &a.drain, http1: http1, h2c: h2c, pod: c.Pod, tracer: a.tracer, log: c.Log}
	return a, nil
}

// snapshot is everything the controller has to know when it listens anew.
func (a *activator) snapshot() []stream.Message {
	return append(a.roads.snapshot(), a.mesh.snapshot()...)
}

// follow is the one goroutine that makes tables.
func (a *activator) follow(ctx context.Context) error {
	defer a.roads.probers.Wait()
	if !a.watcher.cache.WaitForCacheSync(ctx) {
		return nil // ctx ended
	}
	for known := false; ; {
		o, err := a.watcher.objects(ctx)
		if err != nil {
			return err
		}
		t := build(o)
		a.mesh.apply(o.configs, t.sidecars)
		a.roads.apply(ctx, t)
		a.tune(o.configs)
		if !known && a.mesh.serves() {
			known = true
			close(a.known)
		}
		select {
		case <-a.watcher.changed:
		case <-a.mesh.changed():
		case <-ctx.Done():
			return nil
		}
	}
}

// tune does what the box's ConfigMaps ask for. The controller says what is
// wrong with them; here that changes nothing.
func (a *activator) tune(configs []corev1.ConfigMap) {
	said := map[string]map[string]string{trace.ObservabilityConfig: nil, trace.TracingConfig: nil}
	for _, c := range configs {
		said[c.Name] = c.Data
	}
	for name, data := range said {
		if err := a.traces.Take(name, data); err != nil {
			a.log.Debug("a ConfigMap is wrong", "name", name, "error", err)
		}
	}
	a.tracer.Use(a.traces.Settings())
	if names, err := settings.ParseOTelNames(said[trace.ObservabilityConfig]); err == nil {
		a.roads.otel.Store(names.Parts)
	}
}

// serve takes requests from the first table on: until then nobody could say
// where they go, and a closed port says "not yet" better than an error does.
func (a *activator) serve(ctx, under context.Context, c Config) error {
	select {
	case <-a.known:
	case <-ctx.Done():
		return nil
	case <-under.Done():
		return nil // another part has failed and says why
	}
	listener, err := net.Listen("tcp", c.Address)
	if err != nil {
		return fmt.Errorf("opening the address: %w", err)
	}
	// Serving ends with ctx, or when a part that it rests on has failed.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(under, cancel)()
	a.ready.Store(true)
	handler := a.mesh.handler(a.forward.handler())
	if c.Front != nil {
		handler = c.Front(handler)
	}
	c.Log.Info("the activator serves", "address", listener.Addr().String())
	return proxy.Server{
		Listener: a.mesh.gate.Listener(listener), Handler: handler, Log: c.Log,
		Drain: &a.drain, Quiet: c.Quiet, Limit: c.Limit, Upgraded: c.Upgraded,
	}.Serve(ctx)
}

// health answers kubelet. That the controller or the API server is away is no
// reason to send requests elsewhere.
func (a *activator) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.ready.Load() || a.drain.Draining() {
			http.Error(w, errNotServing.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /metrics", a.metrics)
	return mux
}

var errNotServing = errors.New("the activator does not serve")
