// Package deploy puts an image into its Service and follows the revision that
// comes of it until it answers through the gateway.
//
//	Apply --server-side apply--> Service --> Revision --> Pod
//	Wait  <--caches of the three--/------------/-----------/
//	      --K-Network-Probe: activator--> gateway: which revision answers?
//
// A revision is live when the gateway says so, and not before: the question
// takes the road that a user's request takes. The caches only tell what is
// happening meanwhile, and why it takes long.
package deploy

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/patient"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TemplateAnnotation is on every revision that comes of an Apply: a hash of
// the template, by which Wait knows its revision from the ones before it.
const TemplateAnnotation = "kind-in-a-box.github.io/template"

// fieldOwner owns the fields of a Service that come from service.yaml.
const fieldOwner = client.FieldOwner("devbox")

// Config is what a Deployer works with.
type Config struct {
	REST    *rest.Config
	Gateway string                    // as in http://127.0.0.1:8080
	Domain  string                    // of the services' hosts
	Command func(words string) string // how a person calls a command of devbox's on this box; nil for the box of no name
	Slow    time.Duration             // how long a revision may take before Wait says why it does; 0 means 5 s
	Guest   *Guest                    // nil where the cluster is the box's own
}

// Deployer deploys any number of Services. Run must run beside it.
type Deployer struct {
	gateway string
	domain  string
	slow    time.Duration
	command func(words string) string
	guest   *Guest // nil in a box's own cluster
	http    *http.Client
	client  client.Client // writes
	cache   cache.Cache   // reads
	pods    corev1client.PodsGetter

	discovery discovery.DiscoveryInterface // the kinds there are

	mu   sync.Mutex
	news chan struct{} // closed and made anew when the cache changes
}

// New makes a Deployer.
func New(cfg Config) (*Deployer, error) {
	if cfg.Slow == 0 {
		cfg.Slow = 5 * time.Second
	}
	if cfg.Command == nil {
		cfg.Command = func(words string) string { return "devbox " + words }
	}
	d := &Deployer{
		command: cfg.Command,
		gateway: cfg.Gateway,
		domain:  cfg.Domain,
		slow:    cfg.Slow,
		guest:   cfg.Guest,
		http:    &http.Client{Timeout: time.Second, Transport: &http.Transport{}},
		news:    make(chan struct{}),
	}
	scheme := runtime.NewScheme()
	if err := servingv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the serving API: %w", err)
	}
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering Kubernetes' API: %w", err)
	}
	ofServices, err := labels.NewRequirement(servingv1.ServiceLabel, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting pods of services: %w", err)
	}
	if d.client, err = client.New(cfg.REST, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("connecting to the box: %w", err)
	}
	// What is asked once fails where the box is gone, and says so; what watches
	// waits until it is back.
	if d.cache, err = cache.New(patient.Config(cfg.REST), cache.Options{
		Scheme:            scheme,
		DefaultNamespaces: cfg.Guest.scope(),
		ByObject:          map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: labels.NewSelector().Add(*ofServices)}},
	}); err != nil {
		return nil, fmt.Errorf("watching the box: %w", err)
	}
	if d.pods, err = corev1client.NewForConfig(cfg.REST); err != nil {
		return nil, fmt.Errorf("connecting to the box: %w", err)
	}
	if d.discovery, err = discovery.NewDiscoveryClientForConfig(cfg.REST); err != nil {
		return nil, fmt.Errorf("connecting to the box: %w", err)
	}
	return d, nil
}

// Run keeps the caches up to date until ctx ends.
func (d *Deployer) Run(ctx context.Context) error {
	defer d.http.CloseIdleConnections()
	bell := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { d.ring() },
		UpdateFunc: func(any, any) { d.ring() },
		DeleteFunc: func(any) { d.ring() },
	}
	for _, obj := range []client.Object{&servingv1.Service{}, &servingv1.Revision{}, &corev1.Pod{}} {
		informer, err := d.cache.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
		if err == nil {
			_, err = informer.AddEventHandler(bell)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("watching the box: %w", err)
		}
	}
	if err := d.cache.Start(ctx); err != nil {
		return fmt.Errorf("watching the box: %w", err)
	}
	return nil
}

func (d *Deployer) ring() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.news)
	d.news = make(chan struct{})
}

// bell is closed at the next change of the cache.
func (d *Deployer) bell() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.news
}

// Host is the host under which the gateway knows a Service, by the status that it
// has, or by the box's domain.
func (d *Deployer) Host(s *servingv1.Service) string {
	return servingv1.ServiceHost(s, "", d.domain)
}
