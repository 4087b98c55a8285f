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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	Gateway string        // as in http://127.0.0.1:8080
	Domain  string        // of the services' hosts
	Slow    time.Duration // how long a revision may take before Wait says why it does; 0 means 5 s
}

// Deployer deploys any number of Services. Run must run beside it.
type Deployer struct {
	gateway string
	domain  string
	slow    time.Duration
	http    *http.Client
	client  client.Client // writes
	cache   cache.Cache   // reads
	pods    corev1client.PodsGetter

	mu   sync.Mutex
	news chan struct{} // closed and made anew when the cache changes
}

// New makes a Deployer.
func New(cfg Config) (*Deployer, error) {
	if cfg.Slow == 0 {
		cfg.Slow = 5 * time.Second
	}
	d := &Deployer{
		gateway: cfg.Gateway,
		domain:  cfg.Domain,
		slow:    cfg.Slow,
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
	if d.cache, err = cache.New(cfg.REST, cache.Options{
		Scheme:   scheme,
		ByObject: map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: labels.NewSelector().Add(*ofServices)}},
	}); err != nil {
		return nil, fmt.Errorf("watching the box: %w", err)
	}
	if d.pods, err = corev1client.NewForConfig(cfg.REST); err != nil {
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

// Host is the host under which the gateway knows a Service.
func (d *Deployer) Host(s *servingv1.Service) string {
	return servingv1.PublicHost("", s.Name, s.Namespace, d.domain)
}

// Rollout is an Apply whose revision is to be waited for.
type Rollout struct {
	service  *servingv1.Service // as applied
	template string             // TemplateAnnotation's value
	host     string
	port     int32 // that the container is to listen on
	probed   bool  // by a readiness probe of the user's
	follows  bool  // the gateway is to switch to it
	start    time.Time
}

// Apply makes the Service what the manifest says, with image in the
// container that importPath's program runs in. Fields that others own and the
// manifest does not name stay as they are.
func (d *Deployer) Apply(ctx context.Context, manifest *servingv1.Service, importPath, image string) (*Rollout, error) {
	s := manifest.DeepCopy()
	r := &Rollout{service: s, host: d.Host(s), follows: followsLatest(s.Spec.Traffic), start: time.Now()}
	c := container(&s.Spec.Template.Spec.PodSpec, importPath)
	if c == nil {
		return nil, fmt.Errorf("choosing the container of %s: of several containers none has the image ko://%s", s.Name, importPath)
	}
	c.Image = image
	r.port, r.probed = c.UserPort(), c.ReadinessProbe != nil
	var err error
	if r.template, err = hash(s.Spec.Template); err != nil {
		return nil, fmt.Errorf("hashing the template of %s: %w", s.Name, err)
	}
	if s.Spec.Template.Annotations == nil {
		s.Spec.Template.Annotations = map[string]string{}
	}
	s.Spec.Template.Annotations[TemplateAnnotation] = r.template
	u, err := object(s)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", s.Name, err)
	}
	if err := d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), fieldOwner, client.ForceOwnership); err != nil {
		return nil, fmt.Errorf("applying the Service %s: %w", s.Name, err)
	}
	s.Generation = u.GetGeneration()
	return r, nil
}

// container is the one that importPath's program runs in: the one that names
// it, or is left to us, or is the only one.
func container(p *servingv1.PodSpec, importPath string) *servingv1.Container {
	var free *servingv1.Container
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Image == "ko://"+importPath {
			return c
		}
		if free == nil && (c.Image == "" || strings.HasPrefix(c.Image, "ko://")) {
			free = c
		}
	}
	if free == nil && len(p.Containers) == 1 {
		free = &p.Containers[0]
	}
	return free
}

// followsLatest says whether the largest share of the traffic goes to the
// latest revision, as it does where nothing is said.
func followsLatest(traffic []servingv1.TrafficTarget) bool {
	if len(traffic) == 0 {
		return true
	}
	var latest, pinned int64
	for _, t := range traffic {
		share := int64(0)
		if t.Percent != nil {
			share = *t.Percent
		}
		if t.RevisionName == "" {
			latest += share
		} else {
			pinned = max(pinned, share)
		}
	}
	return latest > pinned
}

func hash(t servingv1.RevisionTemplateSpec) (string, error) {
	data, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// object is a Service as its author wrote it: without what Go's encoding adds
// to what is empty, which an apply would claim.
func object(s *servingv1.Service) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "metadata", "generation")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(servingv1.Kind("Service"))
	return u, nil
}
