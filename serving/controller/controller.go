// Package controller is the control plane of the serving platform: one
// reconciler a kind, each of them observe, desired, apply, status.
//
//	Service ───────> Configuration ──> Revision ──────> Pods
//	  │                                  │  ^  ^
//	  └───────────> Route <── ready ─────┘  │  └── how many (autoscaler)
//	                 │                      └───── which of them answer (activator)
//	                 ├──> status.traffic, the activator's table
//	                 ├──> Services, the names in the cluster's DNS
//	                 ├──> the ingress's own object
//	DomainMapping ───┘
//
// What a child should look like is serving/desired's to say, what Istio is to
// be told serving/ingress's. Children that are ours for good are brought there
// by server-side apply; what is made once and never changes, Revisions and
// Pods, is created. The client waits until the cache has seen its writes, so
// a reconcile never acts on a world older than its own last act.
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kind-in-a-box/devbox/serving/autoscaler"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/pullsecrets"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// Config is what a Controller needs to know.
type Config struct {
	// QueueImage is the image of queue-proxy.
	QueueImage string
	// Domain is the last part of every public host.
	Domain string
	// Gateway is the ingress gateway's URL inside the cluster. Where it is
	// empty there is no ingress, and a route is ready without one.
	Gateway string
	// Mirrors say where a registry that image references name is found from
	// here.
	Mirrors map[string]*url.URL
	// ProgressDeadline is how long a revision's first pod may take to answer.
	ProgressDeadline time.Duration
	// DrainQuietPeriod is how long a pod that is to end must have been idle.
	DrainQuietPeriod time.Duration
	// Standby says how pods stand by.
	Standby Standby
	// HealthAddress, where there is one, answers /healthz, /readyz and /metrics.
	HealthAddress string
	Log           *slog.Logger
}

// Controller runs the reconcilers and the autoscaler. It takes what activators
// tell on their stream.
type Controller struct {
	manager manager.Manager
	answers *answers
	scaler  *scaler
	loop    *autoscaler.Loop
	numbers *prometheus.Registry
	secrets pullsecrets.Client
	look    observability
	force   *inForce
	mesh    *gatewayTLS
	standby *standbys
	session loopNumbers
	log     *slog.Logger
}

var _ stream.Receiver = (*Controller)(nil)

// reconcilesAtOnce is per kind. A reconcile is mostly waiting for the server.
const reconcilesAtOnce = 8

// New returns a Controller of the cluster that rest leads to.
func New(restConfig *rest.Config, cfg Config) (*Controller, error) {
	scheme, err := newScheme(cfg.Gateway != "")
	if err != nil {
		return nil, err
	}
	restConfig = rest.CopyConfig(restConfig)
	restConfig.QPS = -1 // the server's own fairness limits us, not a constant
	mgr, err := manager.New(restConfig, manager.Options{
		Scheme:     scheme,
		Logger:     logr.FromSlogHandler(cfg.Log.Handler()),
		Cache:      cacheOptions(cfg.Gateway != ""),
		NewClient:  newClient,
		Client:     client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: new(true)}},
		Controller: config.Controller{MaxConcurrentReconciles: reconcilesAtOnce, SkipNameValidation: new(true)},
		Metrics:    metrics.Options{BindAddress: "0"}, // the health address has them
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	direct, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client that only writes: %w", err)
	}
	secrets, err := typedv1.NewForConfig(restConfig)
	if err != nil {
		return nil, fmt.Errorf("making a client for image pull secrets: %w", err)
	}
	c := &Controller{
		manager: mgr, answers: newAnswers(), scaler: newScaler(), mesh: &gatewayTLS{client: direct},
		secrets: secrets, force: newInForce(cfg.Domain), log: cfg.Log,
	}
	c.loop = autoscaler.New(c.scaler.ring, cfg.Log)
	c.scaler.decider = c.loop
	c.numbers = newNumbers(mgr.GetCache(), c.loop, c.answers, &c.look)
	if err := c.register(cfg); err != nil {
		return nil, fmt.Errorf("registering the reconcilers: %w", err)
	}
	return c, nil
}

func (c *Controller) register(cfg Config) error {
	mgr := c.manager
	common := newApplier(mgr.GetClient(), mgr.GetAPIReader())
	events := recorder{mgr.GetEventRecorder("devbox-controller")}
	queue := desired.Queue{Image: cfg.QueueImage, DrainQuietPeriod: cfg.DrainQuietPeriod}
	lookups := newDigests(cfg.Mirrors, c.force.podsOfAll, c.secrets)
	ways := &entrances{applier: common}
	routing := &routes{entrances: ways, force: c.force, clock: clock.RealClock{}}
	var tokens *sidecarTokens
	if cfg.Gateway != "" {
		ways.gateway = newGateway(cfg.Gateway)
		tokens = &sidecarTokens{c.mesh.client, time.Now}
	}
	c.mesh.cached, c.mesh.gateway, c.mesh.force = mgr.GetClient(), ways.gateway, c.force
	fleet := newFleet(mgr.GetClient(), events, queue, &c.look, c.force, c.answers, tokens)
	images, err := cfg.Standby.images(lookups)
	if err != nil {
		return err
	}
	c.standby = newStandbys(mgr.GetClient(), c.mesh.client, fleet, images, cfg.Standby.URL, c.force, c.scaler.ring)
	fleet.standbys = c.standby
	return errors.Join(
		(&services{common}).register(mgr),
		(&configurations{common, c.force}).register(mgr),
		(&revisions{
			applier:  common,
			scaler:   c.scaler,
			answers:  c.answers,
			digests:  lookups,
			fleet:    fleet,
			events:   events,
			force:    c.force,
			deadline: cfg.ProgressDeadline,
		}).register(mgr),
		routing.register(mgr),
		(&mappings{ways}).register(mgr),
		(&tuning{mgr.GetClient(), events, c.scaler, &c.look, c.mesh, c.force, &routing.renamed, &c.standby.doorbell}).register(mgr),
		c.standby.register(mgr),
		mgr.Add(manager.RunnableFunc(c.standby.listen)),
		mgr.Add(manager.RunnableFunc(lookups.run)),
		mgr.Add(manager.RunnableFunc(c.loop.Run)),
		c.serveHealth(cfg.HealthAddress),
	)
}

// Run reconciles until ctx ends, and returns when every reconcile under way
// has.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.force.load(ctx, c.manager.GetAPIReader()); err != nil {
		return err
	}
	// Nodes are only listed, when a pod is placed: their informer starts with
	// the others, so that the first pod does not wait for it.
	if _, err := c.manager.GetCache().GetInformer(ctx, &corev1.Node{}, cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	defer context.AfterFunc(ctx, c.standby.desk.Close)() // who waits there would hold up the end
	if err := c.manager.Start(ctx); err != nil {
		return fmt.Errorf("running the controller: %w", err)
	}
	return nil
}

// Receive implements stream.Receiver.
func (c *Controller) Receive(source string, m stream.Message) {
	c.answers.receive(m)
	c.mesh.receive(source, m)
	c.standby.receive(m)
	c.loop.Receive(source, m)
}

// Gone implements stream.Receiver. A pod that answered goes on answering
// while no activator watches it; only what was counted is void.
func (c *Controller) Gone(source string) {
	c.loop.Gone(source)
	c.mesh.gone(source)
}

// synced is whether the controller has seen the cluster.
func (c *Controller) synced(req *http.Request) error {
	ctx, cancel := context.WithTimeout(req.Context(), time.Second)
	defer cancel()
	if !c.manager.GetCache().WaitForCacheSync(ctx) {
		return errors.New("the caches have not seen the cluster yet")
	}
	return nil
}
