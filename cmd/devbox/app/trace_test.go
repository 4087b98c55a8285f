package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/way"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TestAboveZero is what keeps a service from a cold start.
func TestAboveZero(t *testing.T) {
	pod := func(name string, change ...func(*corev1.Pod)) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, f := range change {
			f(&p)
		}
		return p
	}
	ending := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }
	failed := func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }
	revision := func(wanted int32, annotations map[string]string) servingv1.Revision {
		return servingv1.Revision{
			ObjectMeta: metav1.ObjectMeta{Name: "hello-00001", Annotations: annotations},
			Status:     servingv1.RevisionStatus{DesiredReplicas: &wanted},
		}
	}
	least := func(key, n string) map[string]string { return map[string]string{servingv1.AutoscalingPrefix + key: n} }
	for _, test := range []struct {
		name        string
		revisions   []servingv1.Revision
		pods        []corev1.Pod
		there, kept string
	}{
		{name: "nothing"},
		{name: "at zero", revisions: []servingv1.Revision{{}, revision(0, nil)}, pods: []corev1.Pod{pod("a", failed)}},
		{
			name: "idle, soon at zero", revisions: []servingv1.Revision{revision(1, least("min-scale", "0"))},
			pods: []corev1.Pod{pod("a"), pod("b", ending)}, there: "pod a is there; pod b is ending",
		},
		{name: "its pods were deleted", revisions: []servingv1.Revision{revision(1, nil)}, there: "revision hello-00001 is to have pods: 1"},
		{
			name: "always there", revisions: []servingv1.Revision{revision(2, least("minScale", "2"))}, pods: []corev1.Pod{pod("a")},
			there: "pod a is there", kept: "hello-00001 has the annotation autoscaling.knative.dev/min-scale: 2",
		},
		{name: "a revision of before", revisions: []servingv1.Revision{revision(0, least("min-scale", "2"))}},
	} {
		there, kept := above(test.revisions, test.pods)
		if got := strings.Join(there, "; "); got != test.there || kept != test.kept {
			t.Errorf("%s: got %q, %q; want %q, %q", test.name, got, kept, test.there, test.kept)
		}
	}
}

// TestShow is what is printed and written of a way, and what is wrong with it.
func TestShow(t *testing.T) {
	held := way.Make(way.Observation{
		Request: way.Request{Service: "hello", Host: "hello.default.example.com"},
		Status:  http.StatusServiceUnavailable, Answer: http.Header{}, Message: "no pod\ntook it",
	})
	var out bytes.Buffer
	d := &devbox{stdout: &out, output: textFormat}
	file := filepath.Join(t.TempDir(), "way.svg")
	svg, err := openPicture(file)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := errors.AsType[*problem](d.show(held, svg))
	svg.close()
	if !ok || p.code != codeRollout || len(p.evidence) != 2 || !strings.Contains(p.Error(), "503 Service Unavailable") {
		t.Errorf("nobody answered: %+v", p)
	}
	if !strings.HasPrefix(out.String(), "GET / to hello.default.example.com: 503") || !strings.Contains(read(t, file), "</svg>") {
		t.Errorf("printed %s", out.String())
	}

	// A container may say 404; that is an answer.
	held.Pod, held.Status = "hello-00001-deployment-x7k2p", http.StatusNotFound
	out.Reset()
	d.output = jsonFormat
	if err := d.show(held, nil); err != nil {
		t.Error(err)
	}
	var got way.Way
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Status != http.StatusNotFound || got.Steps == nil {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestPictureBeforeTheRequest is what becomes of the picture's file where there
// is no request to draw.
func TestPictureBeforeTheRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "way.svg")
	_, err := openPicture(filepath.Join(file, "way.svg"))
	if p, ok := errors.AsType[*problem](err); !ok || p.code != codeUsage {
		t.Errorf("a folder that is not there: %v", err)
	}
	none, err := openPicture(file)
	if err != nil {
		t.Fatal(err)
	}
	none.close()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty picture is left: %v", err)
	}
	if err := os.WriteFile(file, []byte("of before"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := openPicture(file)
	if err != nil {
		t.Fatal(err)
	}
	before.close()
	if got := read(t, file); got != "of before" {
		t.Errorf("the picture of before is %q now", got)
	}
}

// TestRequestBody is what --body says.
func TestRequestBody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "order.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := (&traceFlags{body: "@" + file}).request()
	if err != nil || string(r.Body) != "{}" || r.Method != http.MethodPost {
		t.Errorf("the request is %s %q: %v", r.Method, r.Body, err)
	}
	if _, err := (&traceFlags{body: "@" + file + ".none"}).request(); err == nil {
		t.Error("a file that is not there is no error")
	}
}

// TestNoService: a name on the command line that is nobody's is a mistake there.
func TestNoService(t *testing.T) {
	kinds := runtime.NewScheme()
	if err := servingv1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	hello := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello"}}
	cart := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"}}
	c := &cluster{d: &devbox{name: "devbox"}, box: &bootstrap.Box{}, client: fake.NewClientBuilder().WithScheme(kinds).WithObjects(hello, cart).Build()}
	if s, err := c.oneService(t.Context(), "load", "default/hello"); err != nil || s.Name != "hello" {
		t.Errorf("got %v, %v", s, err)
	}
	if all, err := c.services(t.Context(), "shop/cart"); err != nil || len(all) != 1 || all[0].Namespace != "shop" {
		t.Errorf("got %v, %v", all, err)
	}
	for _, name := range []string{"nope", "other/hello"} {
		_, err := c.oneService(t.Context(), "load", name)
		if p, ok := errors.AsType[*problem](err); !ok || p.code != codeUsage || !strings.Contains(err.Error(), "the services are default/hello, shop/cart") {
			t.Errorf("%s: got %v, want a mistake in the command line, and what there is", name, err)
		}
	}
}
