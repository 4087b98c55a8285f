package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/data"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/release"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/platform"
	"github.com/kind-in-a-box/devbox/internal/push"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// What the chart's values say on kind.
const (
	progressDeadline = 10 * time.Minute
	drainQuietPeriod = time.Second
)

// ServeConfig is what the process of an embedded box needs to know beside the
// box's record.
type ServeConfig struct {
	Box    *bootstrap.Box // that Up has recorded
	Queue  string         // an OCI layout with queue-proxy's image
	Log    io.Writer      // of all parts
	Events event.Sink     // told of every step
	Ready  func()         // called when the box answers
}

// Serve is the process of an embedded box. It returns when ctx has ended, or
// when a part of the box has, and all of it is stopped.
func Serve(ctx context.Context, cfg ServeConfig) error {
	record := cfg.Box
	release, err := process.Hold(record.Dir())
	if err != nil {
		return err
	}
	defer release()
	box, err := New(Config{
		Name: record.Name, Dir: data.Of(record.Dir()), Domain: record.Domain,
		HTTPPort: record.HTTPPort, RegistryPort: record.RegistryPort, APIPort: record.APIPort, MetricsPort: record.MetricsPort,
		Parts: partNames(), PartsIn: bootstrap.WatchNamespace,
		ProgressDeadline: progressDeadline, DrainQuietPeriod: drainQuietPeriod, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	s := &serve{ServeConfig: cfg, box: box, apiUp: make(bootstrap.Gate), queueIn: make(bootstrap.Gate)}
	err = bootstrap.RunAll(ctx, record.Name, cfg.Events, s.steps())
	if err == nil {
		cfg.Events.Emit(event.Event{Kind: event.BoxReady, URL: record.Gateway()})
		cfg.Ready()
		select {
		case <-ctx.Done():
		case <-s.box.Failed():
			err = s.box.Err()
		}
	}
	return errors.Join(err, s.box.Stop())
}

// partNames are those of what may watch a box.
func partNames() []string {
	var names []string
	for _, r := range images.Observability {
		names = append(names, string(r))
	}
	return names
}

// serve is one run of Serve: what its steps hand to each other.
type serve struct {
	ServeConfig
	box *Box

	apiUp bootstrap.Gate // api: the API server answers

	queueIn bootstrap.Gate // platform: the registry has queue-proxy's image
	queue   string
}

// steps are those of a box, side by side: what one needs of another is a Gate.
func (s *serve) steps() []bootstrap.Step {
	return []bootstrap.Step{
		{Name: "api", Do: s.api},
		{Name: "platform", Do: s.platform},
		{Name: "serving", After: s.apiUp, Do: s.serving},
	}
}

// api starts the API server, and tells where it is.
func (s *serve) api(ctx context.Context, say func(string)) (string, error) {
	say("starting etcd and the API server")
	if err := s.box.StartAPI(ctx); err != nil {
		return "", err
	}
	config, err := os.ReadFile(s.box.Kubeconfig())
	if err != nil {
		return "", fmt.Errorf("reading the API server's kubeconfig: %w", err)
	}
	if err := bootstrap.WritePrivate(s.Box.Kubeconfig, config); err != nil {
		return "", err
	}
	s.apiUp.Open()
	version, err := s.box.Version()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Kubernetes %s on 127.0.0.1:%d", version, s.Box.APIPort), nil
}

// platform starts the registry and puts queue-proxy's image into it.
func (s *serve) platform(ctx context.Context, _ func(string)) (string, error) {
	if err := s.box.StartRegistry(ctx); err != nil {
		return "", err
	}
	kept, err := platform.Load(s.Queue, "queue")
	if err != nil {
		return "", err
	}
	if s.queue, err = push.Box(s.Box.Registry()).Image(ctx, "devbox/queue", kept["queue"]); err != nil {
		return "", err
	}
	s.queueIn.Open()
	return "registry, with queue-proxy in it", nil
}

// servingKinds are what the controller and the activator watch.
var servingKinds = []schema.GroupVersionResource{
	servingv1.GroupVersion.WithResource("services"),
	servingv1.GroupVersion.WithResource("configurations"),
	servingv1.GroupVersion.WithResource("routes"),
	servingv1.GroupVersion.WithResource("revisions"),
}

// serving starts what makes pods of Services.
func (s *serve) serving(ctx context.Context, say func(string)) (string, error) {
	isolated := ""
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error {
		say("installing the serving stack's kinds")
		return s.install(both)
	})
	g.Go(func() error {
		pods, err := s.box.StartNode(both)
		if err != nil {
			return err
		}
		switch {
		case pods.Reason != "":
			s.Events.Emit(event.Event{
				Kind: event.Warning, Step: "serving",
				Message: "pods are not isolated from this machine: " + pods.Reason,
				Hint:    "images that ko builds run all the same",
			})
		case pods.SharedNetwork != nil:
			s.Events.Emit(event.Event{
				Kind: event.Warning, Step: "serving",
				Message: "pods share this machine's network, and its ports: " + pods.SharedNetwork.Error(),
				Hint:    "a program listens on $PORT; another port can be taken by another pod or program",
			})
			isolated = "isolated "
		default:
			isolated = "isolated "
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return "", err
	}
	if err := s.queueIn.Wait(ctx); err != nil {
		return "", err
	}
	say("starting the controller and the activator")
	if err := s.box.StartServing(ctx, s.queue); err != nil {
		return "", err
	}
	return "controller, activator; pods are " + isolated + "processes", nil
}

// install puts the serving stack's kinds and settings into the API server.
func (s *serve) install(ctx context.Context) error {
	client, err := helm.New(s.box.REST())
	if err != nil {
		return err
	}
	serving, err := release.Serving(s.Box)
	if err != nil {
		return err
	}
	if _, err := client.Apply(ctx, serving); err != nil {
		return err
	}
	return client.AwaitKinds(ctx, servingKinds...)
}
