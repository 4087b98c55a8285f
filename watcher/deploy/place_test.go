package deploy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// manifestOf is an object of the stage's namespace.
func (s *stage) manifestOf(text string) *unstructured.Unstructured {
	s.Helper()
	u := &unstructured.Unstructured{}
	s.must(yaml.Unmarshal([]byte(text), &u.Object))
	u.SetNamespace(s.namespace)
	return u
}

func (s *stage) place(dir, text string) *deploy.Placed {
	s.Helper()
	p, err := s.deployer.Place(s.Context(), dir, s.manifestOf(text))
	s.must(err)
	return p
}

func (s *stage) configMap(name string) (*corev1.ConfigMap, error) {
	var m corev1.ConfigMap
	return &m, s.client.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &m)
}

const words = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata: {word: one}\n"

func TestPlaceAndRemove(t *testing.T) {
	s := newStage(t)
	dir := t.TempDir()
	p := s.place(dir, words)
	m, err := s.configMap("words")
	s.must(err)
	if !p.Mine || m.Data["word"] != "one" || m.Labels[deploy.OwnerLabel] != deploy.Owner(dir) || m.Annotations[deploy.DirectoryAnnotation] != dir {
		t.Errorf("mine %v, placed %+v", p.Mine, m.ObjectMeta)
	}

	// Fields of others stay, those that leave the manifest go.
	m.Data["theirs"] = "yes"
	s.must(s.client.Update(t.Context(), m))
	s.place(dir, strings.Replace(words, "word: one", "other: two", 1))
	m, err = s.configMap("words")
	s.must(err)
	if m.Data["word"] != "" || m.Data["other"] != "two" || m.Data["theirs"] != "yes" {
		t.Errorf("data %v", m.Data)
	}

	owned, err := s.deployer.Owned(t.Context())
	s.must(err)
	if !slices.ContainsFunc(owned, func(o metav1.PartialObjectMetadata) bool {
		return o.Kind == "ConfigMap" && o.Name == "words" && o.Namespace == s.namespace
	}) {
		t.Errorf("owned are %d objects, and words is not among them", len(owned))
	}
	key := client.ObjectKeyFromObject(m)
	s.must(s.deployer.Remove(t.Context(), t.TempDir(), p.Object.GroupVersionKind(), key)) // of another directory
	if _, err := s.configMap("words"); err != nil {
		t.Errorf("another directory removed it: %v", err)
	}
	kind := p.Object.GroupVersionKind()
	s.must(s.deployer.Remove(t.Context(), dir, kind, key))
	s.must(s.deployer.Remove(t.Context(), dir, kind, key)) // it is gone, and that is well
	if _, err := s.configMap("words"); !apierrors.IsNotFound(err) {
		t.Errorf("it is there: %v", err)
	}
}

// TestWhatWasThereBefore is changed, and neither called devbox's nor removed.
// TestExported: what another cluster has written into an object, and kubectl get
// -o yaml prints, is not in the way.
func TestExported(t *testing.T) {
	s := newStage(t)
	s.place(t.TempDir(), `
apiVersion: v1
kind: ConfigMap
metadata:
  name: words
  uid: 0d1e1b1c-95a1-4a3f-8f0a-0a0b5c6d7e8f
  resourceVersion: "4711"
  generation: 7
  creationTimestamp: "2026-01-01T00:00:00Z"
  managedFields: [{manager: kubectl, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:data": {}}}]
data: {word: one}
status: {ready: true}
`)
	m, err := s.configMap("words")
	s.must(err)
	if m.Data["word"] != "one" || m.UID == "0d1e1b1c-95a1-4a3f-8f0a-0a0b5c6d7e8f" {
		t.Errorf("placed %+v", m)
	}
}

func TestWhatWasThereBefore(t *testing.T) {
	s := newStage(t)
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "words"}, Data: map[string]string{"word": "theirs"}}
	s.must(s.client.Create(t.Context(), theirs))
	dir := t.TempDir()
	p := s.place(dir, words)
	m, err := s.configMap("words")
	s.must(err)
	if p.Mine || m.Data["word"] != "one" || m.Labels[deploy.OwnerLabel] != "" {
		t.Errorf("mine %v, data %v, labels %v", p.Mine, m.Data, m.Labels)
	}
	s.must(s.deployer.Remove(t.Context(), dir, p.Object.GroupVersionKind(), client.ObjectKeyFromObject(m)))
	if _, err := s.configMap("words"); err != nil {
		t.Errorf("somebody's object was removed: %v", err)
	}
}

// TestWhatIsCopied of labels alone, as Kubernetes does for what it makes of an
// object, makes nothing devbox's own.
func TestWhatIsCopied(t *testing.T) {
	s := newStage(t)
	copied := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: s.namespace, Name: "copied", Labels: map[string]string{deploy.OwnerLabel: deploy.Owner("/a")},
	}}
	s.must(s.client.Create(t.Context(), copied))
	owned, err := s.deployer.Owned(t.Context())
	s.must(err)
	for _, o := range owned {
		if o.Namespace == s.namespace {
			t.Errorf("%s %s is called devbox's", o.Kind, o.Name)
		}
	}
}

func TestTwoDirectoriesOfOneObject(t *testing.T) {
	s := newStage(t)
	first, second := t.TempDir(), t.TempDir()
	s.place(first, words)
	_, err := s.deployer.Place(t.Context(), second, s.manifestOf(words))
	if err == nil || err.Error() != "it is applied from "+first+": give one of them another name" {
		t.Errorf("Place from a second directory = %v", err)
	}
	s.place(first+"/moved", strings.Replace(words, "words", "moved", 1))
	if p := s.place(second, strings.Replace(words, "words", "moved", 1)); !p.Mine {
		t.Error("an object of a directory that is not there any more is not taken over")
	}
}

func TestUnknownKind(t *testing.T) {
	s := newStage(t)
	err := s.deployer.Locate(s.manifestOf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: way}\n"))
	unknown, ok := errors.AsType[*deploy.UnknownKindError](err)
	if !ok || unknown.Error() != "this box has no kind VirtualService of networking.istio.io/v1" {
		t.Errorf("Locate = %v", err)
	}
	n := s.manifestOf("apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n")
	if s.must(s.deployer.Locate(n)); n.GetNamespace() != "" {
		t.Errorf("a Namespace is in namespace %s", n.GetNamespace())
	}
}

const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: job}\nspec: {terminationGracePeriodSeconds: 0, containers: [{name: a, image: \"%s\"}]}\n"

// TestAPod is replaced when it is to be another, and left alone when not.
func TestAPod(t *testing.T) {
	s := newStage(t)
	dir := t.TempDir()
	uid := func(image string) string {
		s.place(dir, strings.Replace(pod, "%s", image, 1))
		var p corev1.Pod
		s.must(s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "job"}, &p))
		if p.Spec.Containers[0].Image != image {
			t.Errorf("the image is %s, want %s", p.Spec.Containers[0].Image, image)
		}
		return string(p.UID)
	}
	if one, same, other := uid("a:1"), uid("a:1"), uid("a:2"); one != same || same == other {
		t.Errorf("pods %s, %s, %s; want the first two to be one", one, same, other)
	}
}

// TestFollowAPod through a crash to being ready.
func TestFollowAPod(t *testing.T) {
	s := newStage(t)
	placed := s.place(t.TempDir(), strings.Replace(pod, "%s", "a:1", 1))
	reports, done := make(chan deploy.Report, 100), make(chan error, 1)
	go func() { done <- s.deployer.Follow(t.Context(), placed, func(r deploy.Report) { reports <- r }) }()
	if r := <-reports; r.Stage != deploy.Slow || r.Reason != "it is not ready" {
		t.Errorf("told %+v", r)
	}
	var p corev1.Pod
	set := func(phase corev1.PodPhase, ready corev1.ConditionStatus, state corev1.ContainerState) {
		s.must(s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "job"}, &p))
		p.Status.Phase = phase
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: state}}
		s.must(s.client.Status().Update(t.Context(), &p))
	}
	set(corev1.PodRunning, corev1.ConditionFalse, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3}})
	for r := range reports {
		if r.Stage == deploy.Failed {
			if r.Reason != "pod job: container a exited with code 3" {
				t.Errorf("failed because %q", r.Reason)
			}
			break
		}
	}
	set(corev1.PodRunning, corev1.ConditionTrue, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	if err := <-done; err != nil {
		t.Errorf("Follow = %v", err)
	}
	close(reports)
	var last deploy.Report
	for r := range reports {
		last = r
	}
	if last.Stage != deploy.Live {
		t.Errorf("last told %+v", last)
	}
}

func TestFollowWhatIsDeleted(t *testing.T) {
	s := newStage(t)
	placed := s.place(t.TempDir(), strings.Replace(pod, "%s", "a:1", 1))
	s.must(s.client.Delete(t.Context(), placed.Object))
	err := s.deployer.Follow(t.Context(), placed, func(deploy.Report) {})
	if _, ok := errors.AsType[*deploy.NotRolledOutError](err); !ok || err.Error() != "somebody has deleted it" {
		t.Errorf("Follow = %v", err)
	}
}
