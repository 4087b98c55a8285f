package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	bed.Main(m)
}

// stage is a Service on an API server, and a test that plays the controller,
// the node and the gateway.
type stage struct {
	*testing.T
	client    client.Client
	deployer  *deploy.Deployer
	namespace string

	mu      sync.Mutex
	answers string // the revision that the gateway names
	host    string // the only one that it knows, empty for all
	asked   string // the host and the probe it was asked with
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageBy(t, bed.Start(t).REST())
}

// newStageBy makes a stage whose deployer reaches the API server by config.
func newStageBy(t *testing.T, config *rest.Config) *stage {
	t.Helper()
	b := bed.Start(t)
	s := &stage{T: t, client: b.Client(), namespace: b.Namespace(t)}
	gateway := httptest.NewServer(s)
	t.Cleanup(gateway.Close)
	var err error
	if s.deployer, err = deploy.New(deploy.Config{REST: config, Gateway: gateway.URL, Domain: "example.com", Slow: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.deployer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return s
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = r.Host + " " + r.Header.Get("K-Network-Probe")
	if s.answers == "" || s.host != "" && r.Host != s.host {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Knative-Serving-Revision", s.answers)
}

func (s *stage) route(revision string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = revision
}

// routeHost is route, where the gateway knows one host.
func (s *stage) routeHost(host, revision string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host, s.answers = host, revision
}

func (s *stage) manifest(traffic ...servingv1.TrafficTarget) *servingv1.Service {
	m := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hello"}}
	m.Spec.Template.Spec.Containers = []servingv1.Container{{Image: "ko://example.com/hello"}}
	m.Spec.Traffic = traffic
	return m
}

func (s *stage) apply(m *servingv1.Service, image string) *deploy.Rollout {
	s.Helper()
	r, err := s.deployer.Apply(s.Context(), m, "example.com/hello", map[string]string{"example.com/hello": image})
	if err != nil {
		s.Fatal(err)
	}
	return r
}

// revise makes the revision of the Service as it is now.
func (s *stage) revise(name string) *servingv1.Revision {
	s.Helper()
	var service servingv1.Service
	s.must(s.client.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hello"}, &service))
	rev := &servingv1.Revision{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: service.Spec.Template.Annotations},
		Spec:       service.Spec.Template.Spec,
	}
	rev.Spec.Containers[0].Name = servingv1.UserContainer
	s.must(s.client.Create(s.Context(), rev))
	service.Status.InitializeConditions()
	service.Status.ObservedGeneration = service.Generation
	service.Status.LatestCreatedRevisionName = name
	s.must(s.client.Status().Update(s.Context(), &service))
	return rev
}

func (s *stage) ready(rev *servingv1.Revision) {
	s.Helper()
	rev.Status.InitializeConditions()
	rev.Status.ObservedGeneration = rev.Generation
	rev.Status.MarkContainerHealthyTrue()
	rev.Status.MarkResourcesAvailableTrue()
	s.must(s.client.Status().Update(s.Context(), rev))
}

func (s *stage) crash(rev *servingv1.Revision) {
	s.Helper()
	s.pod(rev, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}})
}

// pod makes a pod of a revision, with its user container in a state.
func (s *stage) pod(rev *servingv1.Revision, state corev1.ContainerState) *corev1.Pod {
	s.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: rev.Name + "-deployment-abcde",
			Labels: map[string]string{servingv1.RevisionLabel: rev.Name, servingv1.ServiceLabel: "hello"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: servingv1.UserContainer, Image: "x"}}},
	}
	s.must(s.client.Create(s.Context(), pod))
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: servingv1.UserContainer, State: state}}
	s.must(s.client.Status().Update(s.Context(), pod))
	return pod
}

// warn makes an event about a pod.
func (s *stage) warn(pod *corev1.Pod, reason, message string) {
	s.Helper()
	s.must(s.client.Create(s.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: pod.Namespace, GenerateName: pod.Name},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: message,
	}))
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// follow waits for a Rollout and returns its reports and how it ended.
func (s *stage) follow(ctx context.Context, r *deploy.Rollout) (next func(deploy.Stage) deploy.Report, end func() error) {
	return s.followBy(ctx, r, s.deployer.Wait)
}

func (s *stage) followBy(ctx context.Context, r *deploy.Rollout, wait func(context.Context, *deploy.Rollout, func(deploy.Report)) error) (next func(deploy.Stage) deploy.Report, end func() error) {
	reports, done := make(chan deploy.Report, 100), make(chan error, 1)
	go func() { done <- wait(ctx, r, func(r deploy.Report) { reports <- r }) }()
	return func(want deploy.Stage) deploy.Report {
		s.Helper()
		for {
			select {
			case got := <-reports:
				if got.Stage == want {
					return got
				}
				if got.Stage != deploy.Slow {
					s.Fatalf("told %+v, want %s", got, want)
				}
			case <-time.After(time.Minute):
				s.Fatalf("never told of %s", want)
			}
		}
	}, func() error { return <-done }
}

func TestARevisionOnItsWay(t *testing.T) {
	s := newStage(t)
	s.route("hello-00000") // somebody's before
	rollout := s.apply(s.manifest(), "localhost:5001/hello@sha256:"+strings.Repeat("a", 64))
	next, end := s.follow(t.Context(), rollout)
	if r := next(deploy.Slow); r.Reason != "there is no revision yet" {
		t.Errorf("slow because %q", r.Reason)
	}
	rev := s.revise("hello-00001")
	if r := next(deploy.Created); r.Revision != "hello-00001" {
		t.Errorf("created %+v", r)
	}
	s.crash(rev)
	if r := next(deploy.Failed); r.Reason != "container user-container exited with code 1" || r.Final {
		t.Errorf("failed because %q, final %v; want a failure that may pass", r.Reason, r.Final)
	}
	s.ready(rev) // it was started again, and came up
	s.route("hello-00001")
	if r := next(deploy.Live); r.Revision != "hello-00001" || r.Pod <= 0 || r.Switch < 0 {
		t.Errorf("live: %+v", r)
	}
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
	if want := "hello." + s.namespace + ".example.com activator"; s.asked != want {
		t.Errorf("the gateway was asked for %q, want %q", s.asked, want)
	}
}

// What only an event says is quoted: a volume that cannot be had, and where a
// container listens instead of on $PORT, which is told once, and again with the
// last word only where it was not.
func TestWhatEventsSayIsQuoted(t *testing.T) {
	s := newStage(t)
	rollout := s.apply(s.manifest(), "localhost:5001/hello@sha256:"+strings.Repeat("a", 64))
	reports := make(chan deploy.Report, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.deployer.Wait(ctx, rollout, func(r deploy.Report) { reports <- r }) }()
	rev := s.revise("hello-00001")
	pod := s.pod(rev, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}})
	until := func(reason string) {
		t.Helper()
		for {
			select {
			case r := <-reports:
				if r.Reason == reason {
					return
				}
			case <-time.After(time.Minute):
				t.Fatalf("never told: %s", reason)
			}
		}
	}
	s.warn(pod, "FailedMount", `configmap "nope" not found`)
	until(`container user-container is waiting: ContainerCreating: configmap "nope" not found`)

	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	s.must(s.client.Status().Update(s.Context(), pod))
	until("it does not listen on port 8080, which $PORT names")
	const instead = "container user-container does not listen on port 8080; it listens on 3000 instead"
	s.warn(pod, "NotListening", instead)
	until(instead)

	rev.Status.InitializeConditions()
	rev.Status.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, "No pod has answered.")
	s.must(s.client.Status().Update(s.Context(), rev))
	until("No pod has answered.")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
	for len(reports) > 0 {
		if r := <-reports; strings.Contains(r.Reason, instead) {
			t.Errorf("told once more: %+v", r)
		}
	}
}

// The host of a Service is what its status says, whatever the box's domain was:
// config-domain, config-network and the Service's labels can all change it.
func TestAHostOfTheStatusIsAsked(t *testing.T) {
	s := newStage(t)
	next, end := s.follow(t.Context(), s.apply(s.manifest(), "example.com/hello:v1"))
	rev := s.revise("hello-00001")
	var service servingv1.Service
	s.must(s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hello"}, &service))
	host := "hello-" + s.namespace + ".my.test"
	service.Status.URL = "http://" + host
	s.must(s.client.Status().Update(t.Context(), &service))
	s.ready(rev)
	next(deploy.Created)
	s.routeHost(host, "hello-00001")
	if r := next(deploy.Live); r.Host != host {
		t.Errorf("live at %q, want %q", r.Host, host)
	}
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func TestARevisionThatTakesNoTraffic(t *testing.T) {
	s := newStage(t)
	all := int64(100)
	rollout := s.apply(s.manifest(servingv1.TrafficTarget{RevisionName: "hello-00000", Percent: &all}), "example.com/hello:v1")
	next, end := s.follow(t.Context(), rollout)
	s.ready(s.revise("hello-00001"))
	next(deploy.Created)
	// It is to be ready, since it is not to be routed.
	if r := next(deploy.Live); r.Pinned != "it gets 0% of the traffic: spec.traffic gives 100% to hello-00000" {
		t.Errorf("pinned: %q", r.Pinned)
	}
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

// TestTrafficThatSomebodyElsePins: the manifest says nothing of traffic, and the
// Service in force does. The wait ends all the same, and says so.
func TestTrafficThatSomebodyElsePins(t *testing.T) {
	s := newStage(t)
	s.apply(s.manifest(), "example.com/hello:v1")
	s.revise("hello-00001")
	pin := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"traffic":[{"revisionName":"hello-00001","percent":100}]}}`))
	s.must(s.client.Patch(t.Context(), &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hello"}}, pin))
	next, end := s.follow(t.Context(), s.apply(s.manifest(), "example.com/hello:v2"))
	s.ready(s.revise("hello-00002"))
	next(deploy.Created)
	if r := next(deploy.Live); r.Revision != "hello-00002" || !strings.Contains(r.Pinned, "100% to hello-00001") {
		t.Errorf("live: %+v", r)
	}
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

// TestARollout: a revision that takes its traffic in steps is told of, and live
// when it has all of it, though the gateway names it once it has most.
func TestARollout(t *testing.T) {
	s := newStage(t)
	m := s.manifest()
	m.Annotations = map[string]string{servingv1.RolloutDurationAnnotation: "90s"}
	s.route("hello-00001")
	rollout := s.apply(m, "example.com/hello:v2")
	reports, done := make(chan deploy.Report, 1000), make(chan error, 1)
	go func() { done <- s.deployer.Wait(t.Context(), rollout, func(r deploy.Report) { reports <- r }) }()
	rev := s.revise("hello-00002")
	share := func(percent int64) {
		t.Helper()
		var service servingv1.Service
		s.must(s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hello"}, &service))
		var route servingv1.RouteStatus
		route.InitializeConditions()
		route.MarkTrafficAssigned()
		route.MarkTLSNotEnabled()
		route.MarkIngressRolloutInProgress()
		route.Traffic = []servingv1.TrafficTarget{
			{RevisionName: "hello-00001", Percent: new(100 - percent), LatestRevision: new(true)},
			{RevisionName: "hello-00002", Percent: new(percent), LatestRevision: new(true)},
		}
		if percent == 100 {
			route.MarkIngressReady()
			route.Traffic = route.Traffic[1:]
		}
		service.Status.PropagateRouteStatus(&route)
		s.must(s.client.Status().Update(t.Context(), &service))
	}
	var told []deploy.Stage
	hear := func(until deploy.Stage) deploy.Report {
		t.Helper()
		for {
			select {
			case r := <-reports:
				if r.Stage != deploy.Slow {
					told = append(told, r.Stage)
				} else if strings.Contains(r.Reason, "traffic moves") {
					t.Errorf("told once more: %+v", r)
				}
				if r.Stage == until {
					return r
				}
			case <-time.After(time.Minute):
				t.Fatalf("never told of %s", until)
			}
		}
	}
	hear(deploy.Created)
	share(1)
	s.ready(rev)
	if r := hear(deploy.Rolling); r.Reason != "traffic moves to it in steps over 1m30s, as serving.knative.dev/rollout-duration has it" {
		t.Errorf("rolling: %q", r.Reason)
	}
	share(67)
	s.route("hello-00002")
	longer := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"serving.knative.dev/rollout-duration":"2m"}}}`))
	s.must(s.client.Patch(t.Context(), &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hello"}}, longer))
	hear(deploy.Rolling) // and not that it is live
	share(100)
	hear(deploy.Live)
	if err := <-done; err != nil {
		t.Errorf("Wait = %v", err)
	}
	if want := "[created rolling rolling live]"; fmt.Sprint(told) != want {
		t.Errorf("told of %s, want %s", told, want)
	}
}

// TestWhatSomebodyElseChangedIsTakenBack: kubectl has changed the containers, and
// so has made a revision with our annotation. The next apply takes that back, and
// is not taken for that revision while the status is of before.
func TestWhatSomebodyElseChangedIsTakenBack(t *testing.T) {
	s := newStage(t)
	s.apply(s.manifest(), "example.com/hello:v1")
	s.revise("hello-00001")
	change := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"add","path":"/spec/template/spec/containers/0/env","value":[{"name":"A","value":"1"}]}]`))
	s.must(s.client.Patch(t.Context(), &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hello"}}, change))
	s.ready(s.revise("hello-00002"))
	s.route("hello-00002")
	next, end := s.follow(t.Context(), s.apply(s.manifest(), "example.com/hello:v1"))
	next(deploy.Slow) // it has looked
	s.ready(s.revise("hello-00003"))
	if r := next(deploy.Created); r.Revision != "hello-00003" {
		t.Errorf("created %s", r.Revision)
	}
	s.route("hello-00003")
	next(deploy.Live)
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

// TestTheLastWord: a crash may pass, until the revision's time is up.
func TestTheLastWord(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	next, end := s.follow(ctx, s.apply(s.manifest(), "example.com/hello:v1"))
	rev := s.revise("hello-00001")
	next(deploy.Created)
	s.crash(rev)
	if r := next(deploy.Failed); r.Final {
		t.Errorf("the first crash is final: %+v", r)
	}
	rev.Status.InitializeConditions()
	rev.Status.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, "too late")
	s.must(s.client.Status().Update(t.Context(), rev))
	if r := next(deploy.Failed); !r.Final || r.Reason != "its progress deadline has passed" || len(r.Log) > 0 {
		t.Errorf("its time is up: %+v; want that, final, and not all of it again", r)
	}
	cancel()
	_ = end() // the cancellation
}

// TestAnImageThatComesLate: a registry that fails once is asked again, and what
// it said is told at once.
func TestAnImageThatComesLate(t *testing.T) {
	s := newStage(t)
	next, end := s.follow(t.Context(), s.apply(s.manifest(), "example.com/hello:v1"))
	rev := s.revise("hello-00001")
	next(deploy.Created)
	rev.Status.InitializeConditions()
	rev.Status.MarkContainerHealthyFalse(servingv1.ReasonContainerMissing, "connection refused")
	s.must(s.client.Status().Update(t.Context(), rev))
	if r := next(deploy.Failed); r.Final || r.Reason != "connection refused" {
		t.Errorf("told %+v; want the registry's words, and not as the last", r)
	}
	s.ready(rev)
	s.route("hello-00001")
	next(deploy.Live)
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

// TestANamespaceThatIsNotThere is made.
func TestANamespaceThatIsNotThere(t *testing.T) {
	s := newStage(t)
	m := s.manifest()
	m.Namespace = s.namespace + "-shop"
	s.apply(m, "example.com/hello:v1")
	s.must(s.client.Get(t.Context(), client.ObjectKeyFromObject(m), m))
}

// TestRefused: what is wrong with a description is told from a box that has no
// time.
func TestRefused(t *testing.T) {
	s := newStage(t)
	m := s.manifest()
	m.Spec.Template.Spec.Containers[0].Ports = []servingv1.ContainerPort{{ContainerPort: 70000}}
	_, err := s.deployer.Apply(t.Context(), m, "example.com/hello", map[string]string{"example.com/hello": "example.com/hello:v1"})
	if err == nil || !deploy.Refused(err) {
		t.Errorf("a port that is none: %v, want a refusal", err)
	}
	several := s.manifest()
	several.Spec.Template.Spec.Containers = []servingv1.Container{{Image: "a"}, {Image: "b"}}
	if _, err := s.deployer.Apply(t.Context(), several, "example.com/hello", nil); err == nil || !deploy.Refused(err) {
		t.Errorf("no container for the program: %v, want a refusal", err)
	}
	if deploy.Refused(context.DeadlineExceeded) || deploy.Refused(apierrors.NewInternalError(errors.New("busy"))) {
		t.Error("what passes is a refusal")
	}
}

// What goes wrong after a revision was live is told, and that it is well again;
// an edit ends it.
func TestWhatHappensToALiveRevision(t *testing.T) {
	s := newStage(t)
	next, end := s.followBy(t.Context(), s.apply(s.manifest(), "example.com/hello:v1"), s.deployer.Attend)
	rev := s.revise("hello-00001")
	next(deploy.Created)
	s.ready(rev)
	s.route("hello-00001")
	next(deploy.Live)
	for range 2 { // which only a revision that was well in between fails
		rev.Status.MarkContainerHealthyFalse(servingv1.ReasonExitCode(1), servingv1.MessageContainerFailed("exit on purpose"))
		s.must(s.client.Status().Update(t.Context(), rev))
		if r := next(deploy.Failing); r.Revision != "hello-00001" || r.Reason != "Container failed with: exit on purpose" {
			t.Errorf("failing: %+v", r)
		}
		s.ready(rev)
		if r := next(deploy.Well); r.Revision != "hello-00001" {
			t.Errorf("well again: %+v", r)
		}
	}
	s.apply(s.manifest(), "example.com/hello:v2")
	s.revise("hello-00002")
	if err := end(); err != nil {
		t.Errorf("Attend = %v", err)
	}
}

// What has failed is tried again by the same code: the reason may have gone.
func TestAnotherTry(t *testing.T) {
	s := newStage(t)
	s.apply(s.manifest(), "example.com/hello:v1")
	first := s.revise("hello-00001")
	first.Status.InitializeConditions()
	first.Status.ObservedGeneration = first.Generation
	first.Status.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, "too late")
	s.must(s.client.Status().Update(t.Context(), first))

	next, end := s.follow(t.Context(), s.apply(s.manifest(), "example.com/hello:v1"))
	err := s.client.Get(t.Context(), client.ObjectKeyFromObject(first), &servingv1.Revision{})
	if !apierrors.IsNotFound(err) {
		t.Fatalf("the failed revision: %v; want it gone, so that the controller makes it anew", err)
	}
	second := s.revise("hello-00001")
	next(deploy.Created)
	s.ready(second)
	s.route("hello-00001")
	next(deploy.Live)
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
	s.apply(s.manifest(), "example.com/hello:v1")
	s.must(s.client.Get(t.Context(), client.ObjectKeyFromObject(second), second)) // what is well stays
}

func TestSomebodyElsesChange(t *testing.T) {
	s := newStage(t)
	next, end := s.follow(t.Context(), s.apply(s.manifest(), "example.com/hello:v1"))
	s.revise("hello-00001")
	next(deploy.Created)
	s.apply(s.manifest(), "example.com/hello:v2")
	s.revise("hello-00002")
	if err := end(); !errors.Is(err, deploy.ErrSuperseded) {
		t.Errorf("Wait = %v, want ErrSuperseded", err)
	}
}

func TestANewerEditEndsTheWait(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	next, end := s.follow(ctx, s.apply(s.manifest(), "example.com/hello:v1"))
	next(deploy.Slow)
	newer := errors.New("there is a newer edit")
	cancel(newer)
	if err := end(); !errors.Is(err, newer) {
		t.Errorf("Wait = %v", err)
	}
}

// TestApplyAgain: what is the same makes no new generation, and so no revision.
func TestApplyAgain(t *testing.T) {
	s := newStage(t)
	var generations []int64
	for _, image := range []string{"example.com/hello:v1", "example.com/hello:v1", "example.com/hello:v2"} {
		s.apply(s.manifest(), image)
		var service servingv1.Service
		s.must(s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hello"}, &service))
		generations = append(generations, service.Generation)
		if got := service.Spec.Template.Spec.Containers[0].Image; got != image {
			t.Errorf("the image is %s, want %s", got, image)
		}
	}
	if fmt.Sprint(generations) != "[1 1 2]" {
		t.Errorf("generations %v, want 1 1 2", generations)
	}
}

func TestApplyOfNonsense(t *testing.T) {
	s := newStage(t)
	m := s.manifest()
	m.Spec.Template.Spec.Containers = append(m.Spec.Template.Spec.Containers, servingv1.Container{Name: "b", Image: "b"})
	m.Spec.Template.Spec.Containers[0] = servingv1.Container{Name: "a", Image: "a"}
	if _, err := s.deployer.Apply(t.Context(), m, "example.com/hello", map[string]string{"example.com/hello": "i"}); err == nil || !strings.Contains(err.Error(), "of several containers none has the image ko://example.com/hello") {
		t.Errorf("Apply = %v", err)
	}
	m = s.manifest()
	timeout := int64(-1)
	m.Spec.Template.Spec.TimeoutSeconds = &timeout
	if _, err := s.deployer.Apply(t.Context(), m, "example.com/hello", map[string]string{"example.com/hello": "i"}); err == nil || !strings.Contains(err.Error(), "timeoutSeconds") {
		t.Errorf("Apply = %v, want the API server's own words", err)
	}
}

// TestARevisionThatIsNamed: a share that the latest revision has by its name, of a
// hold or of the manifest, is its own, and the gateway is waited for.
func TestARevisionThatIsNamed(t *testing.T) {
	s := newStage(t)
	named := servingv1.TrafficTarget{RevisionName: "hello-00001", Percent: new(int64(100))}
	next, end := s.follow(t.Context(), s.apply(s.manifest(named), "example.com/hello:v1"))
	s.ready(s.revise("hello-00001"))
	next(deploy.Created)
	s.route("hello-00001")
	if r := next(deploy.Live); r.Pinned != "" || r.Hint != "" {
		t.Errorf("applied: %+v", r)
	}
	s.must(end())

	s.splits(named)
	s.must(deploy.Hold(t.Context(), s.client, s.service()))
	now := s.service()
	now.Status.ObservedGeneration = now.Generation
	s.must(s.client.Status().Update(t.Context(), now))
	rollout, err := s.deployer.Current(t.Context(), client.ObjectKeyFromObject(s.service()))
	s.must(err)
	next, end = s.follow(t.Context(), rollout)
	next(deploy.Created)
	if r := next(deploy.Live); r.Pinned != "" || r.Hint != "" {
		t.Errorf("held: %+v", r)
	}
	s.must(end())
}
