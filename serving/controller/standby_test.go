package controller

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/registry"
	"github.com/kind-in-a-box/devbox/serving/standby"
)

// standing is a world with a registry, in which pods stand by. The test is the
// programs that wait in them.
type standing struct {
	*world
	registry *httptest.Server
	desk     *httptest.Server
	news     chan string
	orders   map[string]chan waited // by container
	program  string                 // where its layers are
}

// waited is what a program's wait came to.
type waited struct {
	order *standby.Order
	err   error
}

func newStanding(t *testing.T) *standing {
	t.Helper()
	handler, err := registry.New(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := &standing{world: newWorld(t), registry: httptest.NewServer(handler), news: make(chan string, 100)}
	t.Cleanup(s.registry.Close)
	program := s.push("devbox/queue", "queue")
	fleet := s.revisions.fleet
	at, err := url.Parse(s.registry.URL)
	if err != nil {
		t.Fatal(err)
	}
	images, err := newStandbyImages(program, s.registry.URL, newDigests(map[string]*url.URL{registryHost: at}, nil, nil).mirrored)
	if err != nil {
		t.Fatal(err)
	}
	inOne := client.NewNamespacedClient(s.Client, s.namespace) // other tests have theirs
	standbys := newStandbys(inOne, s.Client, fleet, images, "", fleet.force, s.revisions.scaler.ring)
	standbys.desk = standby.NewDesk(func(pod string) { standbys.news(pod); s.news <- pod })
	s.desk = httptest.NewServer(standbys.desk)
	t.Cleanup(func() { standbys.desk.Close(); s.desk.Close() })
	standbys.url, standbys.swept = s.desk.URL, true // the bed has the pods of other tests
	s.standBy("1")
	fleet.standbys = standbys
	return s
}

// standBy is the setting.
func (s *standing) standBy(pods string) {
	s.Helper()
	if err := s.revisions.fleet.force.take(config.Devbox, map[string]string{"standby-pods": pods}); err != nil {
		s.Fatal(err)
	}
}

// registryHost is what images call the registry, which the controller finds
// elsewhere.
const registryHost = "localhost:5001"

// push puts an image like ko's into the registry, whose program has this
// content.
func (s *standing) push(repository, content string) string {
	s.Helper()
	archive := func(name, content string) v1.Layer {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			s.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			s.Fatal(err)
		}
		if err := w.Close(); err != nil {
			s.Fatal(err)
		}
		return static.NewLayer(buf.Bytes(), types.OCIUncompressedLayer)
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		mutate.Addendum{Layer: archive("etc/passwd", "nonroot:x:65532:"), History: v1.History{Author: "somebody"}},
		mutate.Addendum{Layer: archive("ko-app/hello", content), History: v1.History{Author: "ko"}})
	if err != nil {
		s.Fatal(err)
	}
	img, err = mutate.Config(img, v1.Config{User: "65532:65532", Entrypoint: []string{"/ko-app/hello"}, Env: []string{"PATH=/ko-app"}})
	if err != nil {
		s.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		s.Fatal(err)
	}
	ref, err := name.NewDigest(strings.TrimPrefix(s.registry.URL, "http://") + "/" + repository + "@" + digest.String())
	if err != nil {
		s.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		s.Fatal(err)
	}
	return registryHost + "/" + repository + "@" + digest.String()
}

// keep has the controller look what is to stand by, and returns the pods that do.
// A pod of another test's namespace is nobody's concern here.
func (s *standing) keep() []*corev1.Pod {
	s.Helper()
	if _, err := s.revisions.fleet.standbys.Reconcile(s.Context(), reconcile.Request{}); err != nil {
		s.Fatal(err)
	}
	var out []*corev1.Pod
	for _, o := range s.list(&corev1.PodList{}) {
		if pod, ok := o.(*corev1.Pod); ok && pod.Labels[servingv1.StandbyLabel] == servingv1.StandbyWaits && pod.DeletionTimestamp.IsZero() {
			out = append(out, pod)
		}
	}
	return out
}

// one is the pod that stands by, once its programs wait.
func (s *standing) one() *corev1.Pod {
	s.Helper()
	pods := s.keep()
	if len(pods) != 1 {
		s.Fatalf("%d pods stand by, want 1: %s", len(pods), s.words())
	}
	s.wait(s.Context(), pods[0])
	s.until(pods[0].Name, func(state standby.State) bool { return state.Waits })
	s.keep()
	return pods[0]
}

// wait begins what the programs of a pod do.
func (s *standing) wait(ctx context.Context, pod *corev1.Pod) {
	s.orders = map[string]chan waited{}
	for _, c := range pod.Spec.Containers {
		w := &standby.Waiter{Pod: pod.Name, Container: c.Name}
		for _, e := range c.Env {
			switch e.Name {
			case standby.URLVariable:
				w.URL = e.Value
			case standby.TokenVariable:
				w.Token = e.Value
			}
		}
		if c.Name != servingv1.QueueContainer {
			s.program = s.place()
			w.Place = standby.NewPlace(s.program)
		}
		done := make(chan waited, 1)
		s.orders[c.Name] = done
		go func() {
			order, err := w.Wait(ctx)
			done <- waited{order, err}
		}()
	}
}

// place is a directory to which a program brings its layers.
func (s *standing) place() string {
	s.Helper()
	dir := s.TempDir()
	for _, root := range standby.Roots {
		if err := os.MkdirAll(filepath.Join(dir, root), 0o755); err != nil {
			s.Fatal(err)
		}
	}
	return dir
}

func (s *standing) until(pod string, wanted func(standby.State) bool) {
	s.Helper()
	for !wanted(s.revisions.fleet.standbys.desk.Of(pod)) {
		select {
		case <-s.news:
		case <-s.Context().Done():
			s.Fatalf("pod %s is %+v", pod, s.revisions.fleet.standbys.desk.Of(pod))
		}
	}
}

// words are why there is no pod that stands by.
func (s *standing) words() string { return fmt.Sprint(s.revisions.fleet.standbys.words) }

// said is what a revision's status says of pods that stand by.
func (s *standing) said(revision string) string {
	s.Helper()
	return get(s.world, &servingv1.Revision{}, revision).Status.Annotations[servingv1.StandbyAnnotation]
}

// names are those of a revision's pods, the ones that stood by as such.
func (s *standing) kinds(revision string) string {
	s.Helper()
	made, adopted := 0, 0
	for _, pod := range s.pods(revision) {
		if _, ok := adoptedAt(pod); ok {
			adopted++
		} else {
			made++
		}
	}
	return fmt.Sprintf("%d made, %d adopted", made, adopted)
}

// TestAPodThatStandsBy is no replica, becomes the next revision's, and gives way
// to the pod of the manifest when that answers.
func TestAPodThatStandsBy(t *testing.T) {
	t.Parallel()
	s := newStanding(t)
	s.live("hello", s.push("hello", "one"), "hello-00001")
	pod := s.one()
	s.expect("replicas of the first revision", *get(s.world, &servingv1.Revision{}, "hello-00001").Status.ActualReplicas, 1)
	s.expect("its owner", metav1.GetControllerOf(pod).Kind, "Configuration")
	s.expect("its labels", len(pod.Labels), 2)

	s.deploy("hello", s.push("hello", "two"), func(svc *servingv1.Service) {
		svc.Spec.Template.Spec.Containers[0].Env = []servingv1.EnvVar{{Name: "WORD", Value: "yes"}}
	})
	s.expect("pods of the second", s.kinds("hello-00002"), "0 made, 1 adopted")
	adopted := s.pods("hello-00002")[0]
	s.expect("the pod", adopted.UID, pod.UID)
	s.expect("its owner", metav1.GetControllerOf(adopted).Name, "hello-00002")
	s.expect("its service", adopted.Labels[servingv1.ServiceLabel], "hello")
	user, queue := <-s.orders[servingv1.UserContainer], <-s.orders[servingv1.QueueContainer]
	if user.err != nil || queue.err != nil {
		t.Fatal(user.err, queue.err)
	}
	s.expect("the program", user.order.Args, "[/ko-app/hello]")
	s.expect("a variable", user.order.Env["WORD"], "yes")
	s.expect("queue-proxy's revision", queue.order.Env["SERVING_REVISION"], "hello-00002")

	s.activator("hello-00002")
	s.expect("traffic", s.traffic("hello"), "[hello-00002 100 latest]")
	if got := s.said("hello-00002"); !strings.Contains(got, adopted.Name+", which stood by, serves") {
		t.Errorf("the revision says %q", got)
	}
	s.expect("what stands by next", len(s.keep()), 1)

	s.age(adopted, time.Hour)
	s.expect("pods when it is quiet", s.kinds("hello-00002"), "1 made, 1 adopted")
	s.activator("hello-00002")
	s.expect("pods when the other answers", s.kinds("hello-00002"), "1 made, 0 adopted")
	s.expect("what the revision says then", s.said("hello-00002"), "")
	if rev := get(s.world, &servingv1.Revision{}, "hello-00002"); !rev.IsReady() {
		t.Errorf("the revision is not ready: %+v", rev.Status.Conditions)
	}
}

// TestLayersOfWhatWasPushed are on the way before there is a revision of it.
func TestLayersOfWhatWasPushed(t *testing.T) {
	t.Parallel()
	s := newStanding(t)
	go func() { _ = s.revisions.fleet.standbys.listen(s.Context()) }()
	s.live("hello", s.push("hello", "one"), "hello-00001")
	s.one()
	var two string
	for !slices.Contains(s.contents(), "two") { // what is pushed before anybody listens nobody hears of
		two = s.push("hello", "two")
	}
	s.push("another", "three")
	s.deploy("hello", two)
	if user := <-s.orders[servingv1.UserContainer]; user.err != nil {
		t.Fatal(user.err)
	}
	s.expect("what the program has", s.contents(), "[two]")
}

// contents are those of the programs that the pod that stands by has in place.
func (s *standing) contents() []string {
	files, _ := filepath.Glob(filepath.Join(s.program, standby.Roots[0], "*")) // the pattern is a good one
	var contents []string
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil { // one may just go
			contents = append(contents, string(content))
		}
	}
	return contents
}

// age makes a pod one that was adopted so long ago.
func (s *standing) age(pod *corev1.Pod, by time.Duration) {
	s.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, servingv1.AdoptedAnnotation, time.Now().Add(-by).Format(time.RFC3339Nano))
	if err := s.Patch(s.Context(), pod.DeepCopy(), client.RawPatch("application/merge-patch+json", patch)); err != nil {
		s.Fatal(err)
	}
	s.settle()
}

// TestTheOrdinaryRoad is taken whenever a pod that stands by is of no use, and
// nothing is left of it then.
func TestTheOrdinaryRoad(t *testing.T) {
	for name, test := range map[string]struct {
		before func(*standing, *corev1.Pod, context.CancelFunc) // the edit
		change func(*servingv1.Service)
		after  func(*standing)
		said   string
	}{
		"the template differs": {
			change: func(svc *servingv1.Service) { svc.Spec.Template.Spec.TimeoutSeconds = new(int64(7)) },
			said:   "did not stand in for hello-00002: spec.terminationGracePeriodSeconds is 7, and was 300",
		},
		"its programs are killed": {
			before: func(s *standing, pod *corev1.Pod, kill context.CancelFunc) {
				kill()
				s.until(pod.Name, func(state standby.State) bool { return !state.Waits })
			},
		},
		"the pod is deleted": {
			before: func(s *standing, pod *corev1.Pod, _ context.CancelFunc) {
				if err := s.Delete(s.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
					s.Fatal(err)
				}
			},
			said: "cannot be adopted",
		},
		"the registry is gone before": {
			before: func(s *standing, _ *corev1.Pod, _ context.CancelFunc) { s.registry.Close() },
			said:   "asking the box's registry",
		},
		"a layer is gone": {
			before: func(s *standing, _ *corev1.Pod, _ context.CancelFunc) {
				images := s.revisions.fleet.standbys.images
				images.layers = "http://127.0.0.1:1" // what pods are told, and not what the controller asks
			},
			after: func(s *standing) {
				for s.kinds("hello-00002") != "1 made, 0 adopted" {
					select {
					case <-s.news:
						s.settle()
					case <-s.Context().Done():
						return
					}
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStanding(t)
			s.live("hello", s.push("hello", "one"), "hello-00001")
			next := s.push("hello", "two")
			ctx, kill := context.WithCancel(t.Context())
			defer kill()
			pods := s.keep()
			if len(pods) != 1 {
				t.Fatalf("%d pods stand by: %s", len(pods), s.words())
			}
			s.wait(ctx, pods[0])
			s.until(pods[0].Name, func(state standby.State) bool { return state.Waits })
			s.keep()
			if test.before != nil {
				test.before(s, pods[0], kill)
			}
			change := test.change
			if change == nil {
				change = func(*servingv1.Service) {}
			}
			s.deploy("hello", next, change)
			if test.after != nil {
				test.after(s)
			}
			s.expect("pods", s.kinds("hello-00002"), "1 made, 0 adopted")
			if got := s.said("hello-00002"); !strings.Contains(got, test.said) {
				t.Errorf("the revision says %q, want %q", got, test.said)
			}
			s.activator("hello-00002")
			s.expect("traffic", s.traffic("hello"), "[hello-00002 100 latest]")
			if rev := get(s.world, &servingv1.Revision{}, "hello-00002"); !rev.IsReady() {
				t.Errorf("the revision is not ready: %+v", rev.Status.Conditions)
			}
			err := s.Get(t.Context(), client.ObjectKeyFromObject(pods[0]), &corev1.Pod{})
			if name != "its programs are killed" && client.IgnoreNotFound(err) != nil || err == nil && len(s.keep()) > 1 {
				t.Errorf("the pod that stood by is left over: %v", err)
			}
		})
	}
}

// TestAnAdoptedPodThatDoesNotAnswer has the pod of the manifest beside it, and
// goes when that crashes too.
func TestAnAdoptedPodThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newStanding(t)
	s.live("hello", s.push("hello", "one"), "hello-00001")
	s.one()
	s.deploy("hello", s.push("hello", "two"))
	s.expect("pods", s.kinds("hello-00002"), "0 made, 1 adopted")
	s.age(s.pods("hello-00002")[0], adoptedLate)
	s.expect("pods when it is late", s.kinds("hello-00002"), "1 made, 1 adopted")
	for _, pod := range s.pods("hello-00002") {
		if _, adopted := adoptedAt(pod); !adopted {
			s.kubelet(pod, func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{
					Name: servingv1.UserContainer, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3}},
				}}
			})
		}
	}
	s.expect("pods when the other crashes", s.kinds("hello-00002"), "1 made, 0 adopted")
}

// TestFromZero: the same image needs no layer, and the revision's number of pods
// is what counts.
func TestFromZeroByAPodThatStandsBy(t *testing.T) {
	t.Parallel()
	s := newStanding(t)
	s.live("hello", s.push("hello", "one"), "hello-00001")
	pod := s.one()
	s.wanted.pods["hello-00001"] = 0
	s.settle()
	s.expect("pods at zero", s.kinds("hello-00001"), "0 made, 0 adopted")
	s.wanted.pods["hello-00001"] = 2
	s.settle()
	s.expect("pods of two", s.kinds("hello-00001"), "1 made, 1 adopted")
	s.wanted.pods["hello-00001"] = 0
	s.settle()
	s.expect("pods at zero again", s.kinds("hello-00001"), "0 made, 0 adopted")
	s.expect("the pod that stood by", client.IgnoreNotFound(s.Get(t.Context(), client.ObjectKeyFromObject(pod), &corev1.Pod{})), nil)
}

// TestValuesFromElsewhere: a pod that has been given the values of a ConfigMap is
// of use for as long as it says the same.
func TestValuesFromElsewhere(t *testing.T) {
	t.Parallel()
	s := newStanding(t)
	words := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "words"}, Data: map[string]string{"WORD": "yes"}}
	if err := s.Create(t.Context(), words); err != nil {
		t.Fatal(err)
	}
	withWords := func(svc *servingv1.Service) {
		svc.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: words.Name}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: new(true)}},
		}
	}
	s.live("hello", s.push("hello", "one"), "hello-00001", withWords)
	s.one()
	s.live("hello", s.push("hello", "two"), "hello-00002", withWords)
	if got := s.kinds("hello-00002"); !strings.HasSuffix(got, "1 adopted") { // one may be made beside it meanwhile
		t.Errorf("pods while it says the same: %s, want 1 adopted", got)
	}

	s.one()
	words.Data["WORD"] = "no"
	if err := s.Update(t.Context(), words); err != nil {
		t.Fatal(err)
	}
	s.live("hello", s.push("hello", "three"), "hello-00003", withWords)
	s.expect("pods when it has changed", s.kinds("hello-00003"), "1 made, 0 adopted")
	s.expect("what the revision says", strings.Contains(s.said("hello-00003"), "the ConfigMap words has changed since the pod was made"), true)
}

// TestNobodyStandsBy: by the setting, or because the pod is one for which none
// can, which the revision says.
func TestNobodyStandsBy(t *testing.T) {
	t.Parallel()
	s := newStanding(t)
	image := s.push("hello", "one")
	s.live("hello", image, "hello-00001")
	s.expect("pods that stand by", len(s.keep()), 1)
	s.standBy("0")
	s.expect("pods that stand by when they are switched off", len(s.keep()), 0)
	s.standBy("1")
	s.live("hello", image, "hello-00002", func(svc *servingv1.Service) {
		svc.Spec.Template.Spec.Containers[0].SecurityContext = &servingv1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
	})
	s.expect("pods that stand by for one whose root cannot be written", len(s.keep()), 0)
	s.settle()
	s.expect("what the revision says", s.said("hello-00002"), "no pod stands by: its root file system is read-only")
	s.live("elsewhere", "dev.local/hello:1", "elsewhere-00001")
	s.expect("pods that stand by for an image that is elsewhere", len(s.keep()), 0)
	s.settle()
	s.expect("what the revision says", s.said("elsewhere-00001"), "no pod stands by: its image is not named by a digest in the box's registry")
}

// TestChoose: the latest first, as many as there may be, while they live.
func TestChoose(t *testing.T) {
	one := func(name string, ago time.Duration) candidate {
		return candidate{configuration: &servingv1.Configuration{ObjectMeta: metav1.ObjectMeta{Name: name}}, used: noon.Add(-ago)}
	}
	all := []candidate{one("old", time.Hour), one("b", time.Minute), one("a", time.Minute), one("new", time.Second)}
	for _, test := range []struct {
		most int
		want string
		next time.Duration
	}{
		{0, "[]", 0},
		{1, "[new]", 15*time.Minute - time.Second},
		{2, "[new a]", 14 * time.Minute},
		{9, "[new a b]", 14 * time.Minute},
	} {
		chosen, next := choose(all, test.most, 15*time.Minute, noon)
		names := []string{}
		for _, c := range chosen {
			names = append(names, c.configuration.Name)
		}
		if fmt.Sprint(names) != test.want || next != test.next {
			t.Errorf("%d: %v, %s; want %s, %s", test.most, names, next, test.want, test.next)
		}
	}
}

// TestStandFor: a revision that is known to have failed is no model, and one that
// is not known yet is waited for.
func TestStandFor(t *testing.T) {
	c := &servingv1.Configuration{ObjectMeta: metav1.ObjectMeta{Name: "hello", Generation: 2}}
	rev := func(name string, mark func(*servingv1.RevisionStatus)) *servingv1.Revision {
		r := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: name}}
		r.Status.InitializeConditions()
		if mark != nil {
			mark(&r.Status)
		}
		return r
	}
	ready := func(s *servingv1.RevisionStatus) {
		s.MarkActiveTrue()
		s.MarkContainerHealthyTrue()
		s.MarkResourcesAvailableTrue()
	}
	failed := func(s *servingv1.RevisionStatus) { s.MarkContainerHealthyFalse("ExitCode1", "it ended") }
	old := rev("hello-00001", ready)
	for name, test := range map[string]struct {
		newest *servingv1.Revision
		latest string // that c calls ready
		want   string
	}{
		"not made yet":  {rev("hello-00009", nil), "hello-00001", ""},
		"on its way":    {rev("hello-00002", nil), "hello-00001", ""},
		"just ready":    {rev("hello-00002", ready), "hello-00001", ""},
		"ready":         {rev("hello-00002", ready), "hello-00002", "hello-00002"},
		"it has failed": {rev("hello-00002", failed), "hello-00001", "hello-00001"},
	} {
		c.Status.LatestReadyRevisionName = test.latest
		got := ""
		if r := standFor(c, []*servingv1.Revision{old, test.newest}); r != nil {
			got = r.Name
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestTheImageOfAPodThatStandsBy has the base, the program and directories that
// its user may write, and none of the layers of ko's.
func TestTheImageOfAPodThatStandsBy(t *testing.T) {
	t.Parallel()
	s := newStanding(t)
	images := s.revisions.fleet.standbys.images
	composed, err := images.compose(t.Context(), s.push("hello", "one"), 65532, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := images.compose(t.Context(), s.push("hello", "two"), 65532, 1)
	if err != nil || again != composed {
		t.Errorf("another program has another image: %s, %v", again, err)
	}
	_, img, err := images.read(t.Context(), composed)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	s.expect("user", cfg.Config.User, "65532:65532")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	s.expect("layers", len(layers), 2)
	content, err := layers[1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	var got []string
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if err != nil {
			break
		}
		got = append(got, fmt.Sprintf("%s %o %d:%d", h.Name, h.Mode, h.Uid, h.Gid))
	}
	s.expect("files", strings.Join(got, ", "),
		"devbox/ 755 0:0, ko-app/ 755 65532:1, var/ 755 0:0, var/run/ 755 0:0, var/run/ko/ 755 65532:1, devbox/standby 755 0:0")
	program, err := images.extract(t.Context())
	if err != nil || string(program) != "queue" {
		t.Errorf("the program is %q, %v", program, err)
	}
}
