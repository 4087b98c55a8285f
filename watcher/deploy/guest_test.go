package deploy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// guestStage is a stage whose deployer is a guest, behind a gateway of
// somebody else's serving.
func guestStage(t *testing.T, id string, gateway http.Handler) *stage {
	t.Helper()
	b := bed.Start(t)
	s := &stage{T: t, client: b.Client(), namespace: b.Namespace(t)}
	s.join(id, gateway)
	return s
}

// join makes the stage's deployer another guest's.
func (s *stage) join(id string, gateway http.Handler) {
	s.Helper()
	s.joinBy(bed.Start(s).REST(), id, gateway)
}

func (s *stage) joinBy(config *rest.Config, id string, gateway http.Handler) {
	s.Helper()
	server := httptest.NewServer(gateway)
	s.Cleanup(server.Close)
	var err error
	s.deployer, err = deploy.New(deploy.Config{
		REST: config, Gateway: server.URL, Domain: "example.com", Slow: 20 * time.Millisecond,
		Guest: &deploy.Guest{ID: id, Owner: "box " + id, Namespace: s.namespace},
	})
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.deployer.Run(ctx) }()
	s.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.Errorf("Run = %v", err)
		}
	})
}

// TestUpstreamsServing: its gateway does not say which revision answers, so the
// Service's own word is needed besides, and neither is enough alone.
func TestUpstreamsServing(t *testing.T) {
	for name, words := range map[string]struct {
		code int
		body string
	}{
		"by the activator": {http.StatusOK, "activator"},
		"to the pods":      {http.StatusBadRequest, "unexpected probe header value: \"activator\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var knows atomic.Bool
			s := guestStage(t, "alice", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !knows.Load() {
					http.NotFound(w, r)
					return
				}
				w.WriteHeader(words.code)
				_, _ = w.Write([]byte(words.body))
			}))
			next, end := s.follow(t.Context(), s.apply(s.manifest(), "ghcr.io/alice/hello@sha256:"+strings.Repeat("a", 64)))
			rev := s.revise("hello-00001")
			next(deploy.Created)
			knows.Store(true) // of the revision before
			s.ready(rev)
			next(deploy.Slow)
			s.route100(rev.Name)
			if r := next(deploy.Live); r.Revision != "hello-00001" {
				t.Errorf("live: %+v", r)
			}
			if err := end(); err != nil {
				t.Errorf("Wait = %v", err)
			}
		})
	}
}

// TestNodesThatMayNotTakeAnImage: where no pull secret is named, that one can be is
// what is to be done.
func TestNodesThatMayNotTakeAnImage(t *testing.T) {
	s := guestStage(t, "alice", http.NotFoundHandler())
	ctx, cancel := context.WithCancel(t.Context())
	next, end := s.follow(ctx, s.apply(s.manifest(), "ghcr.io/alice/hello@sha256:"+strings.Repeat("a", 64)))
	rev := s.revise("hello-00001")
	next(deploy.Created)
	rev.Status.InitializeConditions()
	rev.Status.MarkResourcesAvailableFalse("ImagePullBackOff", "pull access denied")
	s.must(s.client.Status().Update(ctx, rev))
	if r := next(deploy.Failed); r.Reason != "pull access denied" || !strings.Contains(r.Hint, "--pull-secret") {
		t.Errorf("failed: %+v, want a hint at --pull-secret", r)
	}
	cancel()
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
}

// route100 has the Service say that all traffic goes to a revision.
func (s *stage) route100(revision string) {
	s.Helper()
	var service servingv1.Service
	s.must(s.client.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hello"}, &service))
	service.Status.LatestReadyRevisionName = revision
	service.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: revision, Percent: new(int64(100)), LatestRevision: new(true)}}
	service.Status.Conditions = []servingv1.Condition{
		{Type: servingv1.ServiceConfigurationsReady, Status: corev1.ConditionTrue}, {Type: servingv1.ServiceRoutesReady, Status: corev1.ConditionTrue},
		{Type: servingv1.ConditionReady, Status: corev1.ConditionTrue},
	}
	s.must(s.client.Status().Update(s.Context(), &service))
}

// TestWhatIsSomebodyElses is left alone: of another guest, of nobody, of another
// namespace or of none.
func TestWhatIsSomebodyElses(t *testing.T) {
	s := guestStage(t, "alice", http.NotFoundHandler())
	dir := t.TempDir()
	s.apply(s.manifest(), "ghcr.io/alice/hello@sha256:"+strings.Repeat("a", 64))
	_, err := s.deployer.Place(t.Context(), dir, s.manifestOf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"))
	s.must(err)
	s.must(s.client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "nobodys"}}))

	s.join("bob", http.NotFoundHandler())
	_, err = s.deployer.Apply(t.Context(), s.manifest(), "example.com/hello", map[string]string{"example.com/hello": "ghcr.io/bob/hello@sha256:" + strings.Repeat("b", 64)})
	s.isRefused(err, "there is a Service hello in namespace "+s.namespace+" already, which is of box alice")
	for words, text := range map[string]string{
		"ConfigMap settings in namespace " + s.namespace + " already, which is of box alice":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
		"ConfigMap nobodys in namespace " + s.namespace + " already, which devbox did not make":          "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nobodys}\n",
		"it is for namespace kube-public, and this box has one namespace of its cluster, " + s.namespace: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: far, namespace: kube-public}\n",
		"it is for no namespace": "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n",
	} {
		object := &unstructured.Unstructured{}
		s.must(yaml.Unmarshal([]byte(text), &object.Object))
		s.must(s.deployer.Locate(object))
		_, err := s.deployer.Place(t.Context(), t.TempDir(), object)
		s.isRefused(err, words)
	}
}

// TestTwoAtOnce: both have seen that there is no such Service. Who comes second is
// refused, as if he had looked a moment later.
func TestTwoAtOnce(t *testing.T) {
	s := guestStage(t, "alice", http.NotFoundHandler())
	alice := s.deployer
	apply := func(d *deploy.Deployer, image string) error {
		_, err := d.Apply(t.Context(), s.manifest(), "example.com/hello", map[string]string{"example.com/hello": image})
		return err
	}
	config := bed.Start(t).REST()
	var first sync.Once
	config.Wrap(func(by http.RoundTripper) http.RoundTripper {
		return before(func(r *http.Request) {
			if r.Method == http.MethodPatch {
				first.Do(func() { s.must(apply(alice, "ghcr.io/alice/hello:v1")) })
			}
		}, by)
	})
	s.joinBy(config, "bob", http.NotFoundHandler())
	s.isRefused(apply(s.deployer, "ghcr.io/bob/hello:v1"), "there is a Service hello in namespace "+s.namespace+" already, which is of box alice")
	var service servingv1.Service
	s.must(s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hello"}, &service))
	if got := service.Spec.Template.Spec.Containers[0].Image; got != "ghcr.io/alice/hello:v1" {
		t.Errorf("the Service runs %s, want that alice's stays", got)
	}
	s.must(apply(alice, "ghcr.io/alice/hello:v2"))
}

// before has something done before each request.
func before(do func(*http.Request), by http.RoundTripper) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		do(r)
		return by.RoundTrip(r)
	})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func (s *stage) isRefused(err error, words string) {
	s.Helper()
	if err == nil || !strings.Contains(err.Error(), words) || !deploy.Refused(err) {
		s.Errorf("got %v, want a refusal with %q", err, words)
	}
}
