package embedded

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
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/apiserver"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/node"
	"github.com/kind-in-a-box/devbox/serving/activator"
	"github.com/kind-in-a-box/devbox/serving/controller"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/registry"
	"github.com/kind-in-a-box/devbox/serving/runner"
	"github.com/kind-in-a-box/devbox/serving/stream"
	"github.com/kind-in-a-box/devbox/serving/targets"
)

// Config says what box an Engine runs.
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

// Engine is the parts of a box in this process. Each Start returns when its
// part does its work; a part goes on until Stop, or until it fails.
type Engine struct {
	Config
	log     *slog.Logger
	parts   *parts
	sockets string // a directory
	server  *apiserver.Server
	metrics proxy.Exposition // of all parts
}

// New returns an Engine that runs nothing yet. Stop gives back what it takes.
func New(c Config) (*Engine, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the box's data directory: %w", err)
	}
	sockets, err := newSockets(c.Dir)
	if err != nil {
		return nil, err
	}
	return &Engine{Config: c, log: slog.New(slog.NewTextHandler(c.Log, nil)), parts: newParts(), sockets: sockets}, nil
}

// Failed is closed when a part has ended by itself, and Err then says why.
func (e *Engine) Failed() <-chan struct{} { return e.parts.failed }

// Err is why the first part ended that was not told to, nil while none has.
func (e *Engine) Err() error { return e.parts.err() }

// Stop ends all parts, the last started first, and returns when they have
// ended: requests in flight are answered, pods get their grace.
func (e *Engine) Stop() error { return errors.Join(e.parts.stop(), removeSockets(e.Dir)) }

// Remove removes all state in dir, where no Engine runs, and what a killed one
// may have left running.
func Remove(dir string) error {
	return errors.Join(removeSockets(dir), runner.Remove(filepath.Join(dir, runnerDir)), runner.RemoveAll(dir))
}

const (
	// runnerDir is the runner's directory in the box's data.
	runnerDir = "runner"
	// runnerKeep is little, since the registry beside it has the layers too.
	runnerKeep = 128 << 20
)

// StartAPI starts the API server.
func (e *Engine) StartAPI(ctx context.Context) error {
	started := make(chan *apiserver.Server, 1)
	e.parts.start(ctx, "the API server", func(life context.Context) error {
		server, err := apiserver.Start(life, apiserver.Options{
			Dir: filepath.Join(e.Dir, "api"), Sockets: e.sockets, Port: e.APIPort, Log: e.Log,
		})
		if err != nil {
			return err
		}
		started <- server
		return server.Wait()
	})
	var err error
	e.server, err = await(ctx, e.parts, "the API server", started)
	return err
}

// REST is how the API server is asked, once it is started.
func (e *Engine) REST() *rest.Config { return e.server.RESTConfig() }

// Version is the API server's, as in v1.37.2.
func (e *Engine) Version() (string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(e.REST())
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
func (e *Engine) Kubeconfig() string { return e.server.Kubeconfig() }

// StartRegistry starts the registry. It listens when this returns.
func (e *Engine) StartRegistry(ctx context.Context) error {
	address := loopback(e.RegistryPort)
	return e.listen(ctx, "the registry", address, func(life context.Context) error {
		return registry.Run(life, registry.Config{Address: address, Root: filepath.Join(e.Dir, "registry"), Metrics: &e.metrics, Log: e.log})
	})
}

// Push puts an image of the box's own into the registry and returns its name
// there.
func (e *Engine) Push(ctx context.Context, repository string, img v1.Image) (string, error) {
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("reading image %s: %w", repository, err)
	}
	ref, err := name.NewDigest(fmt.Sprintf("localhost:%d/%s@%s", e.RegistryPort, repository, digest))
	if err != nil {
		return "", fmt.Errorf("naming image %s: %w", repository, err)
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("pushing image %s: %w", repository, err)
	}
	return ref.String(), nil
}

// StartNode starts the node, which takes up the pods that it ran before.
func (e *Engine) StartNode(ctx context.Context) (runner.Isolation, error) {
	r, err := runner.New(filepath.Join(e.Dir, runnerDir), runner.Options{Keep: runnerKeep, Log: e.log}) //nolint:contextcheck // what it tries takes milliseconds
	if err != nil {
		return runner.Isolation{}, fmt.Errorf("preparing to run pods: %w", err)
	}
	ready := make(chan struct{})
	e.parts.start(ctx, "the node", func(life context.Context) error {
		err := node.Run(life, node.Config{
			Name: e.Name, REST: e.REST(), Runner: r, Dir: filepath.Join(e.Dir, "node"),
			TLS: e.server.KubeletTLS(), Metrics: &e.metrics, Log: e.log, Ready: func() { close(ready) },
		})
		return errors.Join(err, r.Close())
	})
	if _, err := await(ctx, e.parts, "the node", ready); err != nil {
		return runner.Isolation{}, err
	}
	return r.Isolation(), nil
}

// StartServing starts the controller and the activator, which tell each other
// what changes many times a second through a socket that nobody else can open.
// The kinds of the serving chart are in the API server.
func (e *Engine) StartServing(ctx context.Context, queueImage string) error {
	ctrl, err := controller.New(e.REST(), controller.Config{
		QueueImage: queueImage, Domain: e.Domain, ProgressDeadline: e.ProgressDeadline,
		DrainQuietPeriod: e.DrainQuietPeriod, Log: e.log,
	})
	if err != nil {
		return fmt.Errorf("making the controller: %w", err)
	}
	socket := filepath.Join(e.sockets, "stream")
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("making the stream's socket: %w", err)
	}
	e.parts.start(ctx, "the stream", func(life context.Context) error { return stream.Serve(life, listener, ctrl) })
	e.parts.start(ctx, "the controller", ctrl.Run)
	e.metrics.Add(ctrl.WriteMetrics)
	clients, err := kubernetes.NewForConfig(e.REST())
	if err != nil {
		return fmt.Errorf("preparing to look for the box's parts: %w", err)
	}
	doors := newDoors(clients, e.PartsIn, e.Parts, e.log)
	if err := e.startMetrics(ctx, ctrl.Loop(), doors); err != nil {
		return err
	}
	address := loopback(e.HTTPPort)
	return e.listen(ctx, "the activator", address, func(life context.Context) error {
		return activator.Run(life, activator.Config{
			REST: e.REST(), Address: address, Stream: "unix:" + socket, Metrics: &e.metrics, Front: doors.front, Log: e.log,
		})
	})
}

// metricsLimit bounds the end of the metrics' server.
const metricsLimit = time.Second

// startMetrics serves the numbers of all parts together, which on kind each
// serves by itself, and what Prometheus needs to know and to reach besides.
func (e *Engine) startMetrics(ctx context.Context, loop http.Handler, doors *doors) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", &e.metrics)
	mux.Handle("PUT /loop", loop)
	mux.Handle("GET /targets/", http.StripPrefix("/targets", targets.Handler(doors.pods)))
	mux.Handle("/parts/{part}/", doors.inside())
	address := loopback(e.MetricsPort)
	return e.listen(ctx, "the metrics", address, func(life context.Context) error {
		listener, err := (&net.ListenConfig{}).Listen(life, "tcp", address)
		if err != nil {
			return fmt.Errorf("opening the metrics' address: %w", err)
		}
		return proxy.Server{Listener: listener, Handler: ofThisMachine(mux), Limit: metricsLimit, Log: e.log}.Serve(life)
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
		if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() {
			http.Error(w, fmt.Sprintf("this is 127.0.0.1, not %q", host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listen starts a part and returns when it listens at address. Another's
// answer there must not be taken for the part's own, so nobody may be there.
func (e *Engine) listen(ctx context.Context, part, address string, run func(life context.Context) error) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("starting %s: %w; run `devbox up` again for another port", part, err)
	}
	if err := listener.Close(); err != nil {
		return fmt.Errorf("starting %s: %w", part, err)
	}
	e.parts.start(ctx, part, run)
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if _, err := await(ctx, e.parts, part, time.After(5*time.Millisecond)); err != nil {
			return err
		}
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
