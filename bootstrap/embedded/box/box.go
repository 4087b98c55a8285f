// Package box is an embedded box in its own process: a real Kubernetes API
// server, a node beside it that runs pods as processes, and the serving stack
// that runs on kind too.
//
//	Serve ── steps ──> Box   apiserver   etcd and kube-apiserver, on loopback
//	  │                      registry    what the watcher pushes to
//	  │                      node        pods to processes, by serving/runner
//	  v                      controller  the reconcilers and the autoscaler
//	events, to Up            activator   the box's port, in place of Envoy
//	                            └── user-container, queue-proxy: its children
//
// All state lies in the box's data directory, and a kill -9 at any moment
// leaves it whole: the next start goes on from there.
package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/apiserver"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/data"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/node"
	"github.com/kind-in-a-box/devbox/serving/activator"
	"github.com/kind-in-a-box/devbox/serving/controller"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/registry"
	"github.com/kind-in-a-box/devbox/serving/runner"
	"github.com/kind-in-a-box/devbox/serving/stream"
	"github.com/kind-in-a-box/devbox/serving/targets"
)

// Config says what box a Box runs.
type Config struct {
	Name   string
	Dir    string // of all state; made if it is not there
	Domain string // of the services' hosts

	HTTPPort, RegistryPort, APIPort, MetricsPort int // of 127.0.0.1

	// Parts are the names of what may watch the box, as pods in the namespace
	// PartsIn whose label app says which they are.
	Parts   []string
	PartsIn string

	// What the serving stack is told on kind by its chart.
	ProgressDeadline, DrainQuietPeriod time.Duration

	Log io.Writer // of all parts
}

// Box is the parts of a box in this process. Each Start returns when its
// part does its work; a part goes on until Stop, or until it fails.
type Box struct {
	Config
	log     *slog.Logger
	parts   *parts
	sockets string // a directory
	server  *apiserver.Server
	runner  atomic.Pointer[runner.Runner] // of the node; nil until it is started
	serving atomic.Pointer[controller.Controller]
	pods    *network.Network // nil: they share the machine's
	metrics proxy.Exposition // of all parts
}

// New returns a Box that runs nothing yet. Stop gives back what it takes.
func New(c Config) (*Box, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the box's data directory: %w", err)
	}
	sockets, err := data.NewSockets(c.Dir)
	if err != nil {
		return nil, err
	}
	return &Box{Config: c, log: slog.New(slog.NewTextHandler(c.Log, nil)), parts: newParts(), sockets: sockets}, nil
}

// Failed is closed when a part has ended by itself, and Err then says why.
func (b *Box) Failed() <-chan struct{} { return b.parts.failed }

// Err is why the first part ended that was not told to, nil while none has.
func (b *Box) Err() error { return b.parts.err() }

// Stop ends all parts, the last started first, and returns when they have
// ended: requests in flight are answered, pods get their grace.
func (b *Box) Stop() error { return errors.Join(b.parts.stop(), data.RemoveSockets(b.Dir)) }

// runnerKeep is little, since the registry beside it has the layers too. In
// bytes.
const runnerKeep = 128 << 20

// StartAPI starts the API server.
func (b *Box) StartAPI(ctx context.Context) error {
	started := make(chan *apiserver.Server, 1)
	b.parts.start(ctx, "the API server", func(life context.Context) error {
		server, err := apiserver.Start(life, apiserver.Options{
			Dir: filepath.Join(b.Dir, "api"), Sockets: b.sockets, Port: b.APIPort, Log: b.Log,
		})
		if err != nil {
			return err
		}
		started <- server
		return server.Wait()
	})
	var err error
	b.server, err = await(ctx, b.parts, "the API server", started)
	return err
}

// REST is how the API server is asked, once it is started.
func (b *Box) REST() *rest.Config { return b.server.RESTConfig() }

// Version is the API server's, as in v1.37.2.
func (b *Box) Version() (string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(b.REST())
	if err != nil {
		return "", fmt.Errorf("asking the API server for its version: %w", err)
	}
	info, err := client.ServerVersion()
	if err != nil {
		return "", fmt.Errorf("asking the API server for its version: %w", err)
	}
	return info.GitVersion, nil
}

// Kubeconfig is a file that says the same to kubectl.
func (b *Box) Kubeconfig() string { return b.server.Kubeconfig() }

// StartRegistry starts the registry. It listens when this returns.
func (b *Box) StartRegistry(ctx context.Context) error {
	address := loopback(b.RegistryPort)
	return b.listen(ctx, "the registry", address, func(life context.Context) error {
		return registry.Run(life, registry.Config{
			Address: address, Root: filepath.Join(b.Dir, "registry"), Metrics: &b.metrics, Log: b.log,
			Pushed: func(image string) { go b.fetch(life, image) },
		})
	})
}

// fetch brings an image that was pushed to the node, which a pod will ask for in
// a moment; where one that stands by brings it itself, that will be later, and
// the machine has more urgent things to do. What goes wrong is the pod's to say.
func (b *Box) fetch(ctx context.Context, image string) {
	image = fmt.Sprintf("localhost:%d/%s", b.RegistryPort, image)
	r, c := b.runner.Load(), b.serving.Load()
	if r == nil || c != nil && c.StandsBy(image) {
		return
	}
	if there, err := r.Pull(ctx, image, false, nil); err == nil {
		there.Release()
	}
}

// Pods say what pods of this machine have of their own.
type Pods struct {
	runner.Isolation
	// SharedNetwork is why they have the machine's network; nil: they do not.
	SharedNetwork error
}

// StartNode starts the node, which takes up the pods that it ran before.
func (b *Box) StartNode(ctx context.Context) (Pods, error) {
	clients, err := kubernetes.NewForConfig(b.REST())
	if err != nil {
		return Pods{}, fmt.Errorf("preparing to look for services: %w", err)
	}
	names := newNames(clients)
	r, err := runner.New(data.Runner(b.Dir), runner.Options{Keep: runnerKeep, Log: b.log}) //nolint:contextcheck // what it tries takes milliseconds
	if err != nil {
		return Pods{}, fmt.Errorf("preparing to run pods: %w", err)
	}
	b.runner.Store(r)
	var shared error
	if b.pods, shared = b.podNetworks(r.Isolation(), names); shared == nil { //nolint:contextcheck // it is there until it is closed
		b.parts.start(ctx, "the cluster's names", names.run)
	}
	ready := make(chan struct{})
	b.parts.start(ctx, "the node", func(life context.Context) error {
		err := node.Run(life, node.Config{
			Name: b.Name, REST: b.REST(), Runner: r, Dir: filepath.Join(b.Dir, "node"), Network: b.pods, Entrance: b.HTTPPort,
			TLS: b.server.KubeletTLS(), Metrics: &b.metrics, Log: b.log, Ready: func() { close(ready) },
		})
		err = errors.Join(err, r.Close())
		if b.pods != nil {
			b.pods.Close()
		}
		return err
	})
	if _, err := await(ctx, b.parts, "the node", ready); err != nil {
		return Pods{}, err
	}
	return Pods{r.Isolation(), shared}, nil
}

// podNetworks are what gives each pod a network of its own, nil with the
// reason where they share the machine's. A pod without a root of its own would
// not be told of the names in its network.
func (b *Box) podNetworks(has runner.Isolation, names *names) (*network.Network, error) {
	if !has.Root {
		return nil, errors.New(has.Reason)
	}
	return network.New(network.Config{Entrance: loopback(b.HTTPPort), Service: names.address, Log: b.log})
}

// StartServing starts the controller and the activator, which tell each other
// what changes many times a second through a socket that nobody else can open.
// The kinds of the serving chart are in the API server.
func (b *Box) StartServing(ctx context.Context, queueImage string) error {
	ctrl, err := controller.New(b.REST(), controller.Config{
		QueueImage: queueImage, Domain: b.Domain, ProgressDeadline: b.ProgressDeadline,
		DrainQuietPeriod: b.DrainQuietPeriod, Log: b.log,
		Standby: controller.Standby{
			URL:      fmt.Sprintf("http://%s:%d/standby", network.Machine, b.MetricsPort),
			Program:  queueImage,
			Registry: fmt.Sprintf("http://%s:%d", network.Machine, b.RegistryPort),
		},
	})
	if err != nil {
		return fmt.Errorf("making the controller: %w", err)
	}
	b.serving.Store(ctrl)
	socket := filepath.Join(b.sockets, "stream")
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("making the stream's socket: %w", err)
	}
	b.parts.start(ctx, "the stream", func(life context.Context) error { return stream.Serve(life, listener, ctrl) })
	b.parts.start(ctx, "the controller", ctrl.Run)
	b.metrics.Add(ctrl.WriteMetrics)
	clients, err := kubernetes.NewForConfig(b.REST())
	if err != nil {
		return fmt.Errorf("preparing to look for the box's parts: %w", err)
	}
	doors := newDoors(clients, b.PartsIn, b.Parts, b.dial, b.log)
	if err := b.startMetrics(ctx, ctrl, doors); err != nil {
		return err
	}
	address := loopback(b.HTTPPort)
	return b.listen(ctx, "the activator", address, func(life context.Context) error {
		return activator.Run(life, activator.Config{
			REST: b.REST(), Address: address, Stream: "unix:" + socket, Metrics: &b.metrics, Front: doors.front, Log: b.log,
		})
	})
}

// dial connects to an address, which may be a pod's.
func (b *Box) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if b.pods != nil {
		return b.pods.Dial(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// metricsLimit bounds the end of the metrics' server.
const metricsLimit = time.Second

// startMetrics serves the numbers of all parts together, which on kind each
// serves by itself, and what Prometheus needs to know and to reach besides. Pods
// that stand by wait here too.
func (b *Box) startMetrics(ctx context.Context, ctrl *controller.Controller, doors *doors) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", &b.metrics)
	mux.Handle("PUT /loop", ctrl.Loop())
	mux.Handle("GET /targets/", http.StripPrefix("/targets", targets.Handler(doors.pods)))
	mux.Handle("/parts/{part}/", doors.inside())
	address := loopback(b.MetricsPort)
	return b.listen(ctx, "the metrics", address, func(life context.Context) error {
		listener, err := (&net.ListenConfig{}).Listen(life, "tcp", address)
		if err != nil {
			return fmt.Errorf("opening the metrics' address: %w", err)
		}
		mux.Handle("/standby", until(life, ctrl.Standby()))
		return proxy.Server{Listener: listener, Handler: ofThisMachine(mux), Limit: metricsLimit, Log: b.log}.Serve(life)
	})
}

// until serves requests with next, and ends them when life does: who waits for a
// word is not waited for.
func until(life context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx)) //nolint:contextcheck // it is the request's
	})
}

// ofThisMachine answers those who call the server by a name of this machine: a
// page of the web may call it by its own, and read what is not meant for it.
func ofThisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && host != network.Machine && !ip.IsLoopback() {
			http.Error(w, fmt.Sprintf("this is 127.0.0.1, not %q", host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listen starts a part and returns when it listens at address. Another's
// answer there must not be taken for the part's own, so nobody may be there.
func (b *Box) listen(ctx context.Context, part, address string, run func(life context.Context) error) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("starting %s: %w; run `devbox up` again for another port", part, err)
	}
	if err := listener.Close(); err != nil {
		return fmt.Errorf("starting %s: %w", part, err)
	}
	b.parts.start(ctx, part, run)
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if _, err := await(ctx, b.parts, part, time.After(5*time.Millisecond)); err != nil {
			return err
		}
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
