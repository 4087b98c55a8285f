package main

import (
	"bytes"
	"flag"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

var update = flag.Bool("update", false, "write the golden files again")

// TestTraceForPeople is a header of the activator's, and what becomes of it.
func TestTraceForPeople(t *testing.T) {
	const pod = `;desc="hello-00001-deployment-x7k2p"`
	for name, header := range map[string][]string{
		"from-zero": {"held;dur=121.74, decided;dur=0.22, created;dur=8.51, sandbox;dur=102.90, started;dur=0.47, listening;dur=9.61, pod;dur=2.52" + pod},
		// What a container says comes first, whatever it says.
		"of-a-container": {`held;dur=1, db;dur=7;desc="a, b"`, "held;dur=30.00, created;dur=10.00, listening;dur=20.00, pod;dur=0.01" + pod},
		"in-one-line":    {"cache;desc=hit, held;dur=30.00, started;dur=30.00, pod;dur=70.00" + pod},
		// The pod answered, and others were served first.
		"in-a-queue": {"held;dur=80.00, listening;dur=40.00, pod;dur=20.00" + pod},
	} {
		t.Run(name, func(t *testing.T) {
			trace := readTrace(header)
			if trace == nil || !trace.cold() {
				t.Fatalf("read %+v", trace)
			}
			trace.Status, trace.Client = 200, trace.Took+2*time.Millisecond
			var out bytes.Buffer
			if err := trace.print(&out); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "trace", name+".txt")
			if *update {
				write(t, file, out.String())
			}
			if diff := cmp.Diff(read(t, file), out.String()); diff != "" {
				t.Errorf("%s differs (write it again with -update and read the diff):\n%s", file, diff)
			}
		})
	}
}

func TestNoTrace(t *testing.T) {
	for name, header := range map[string][]string{
		"no header":          nil,
		"a container's only": {"db;dur=7"},
		"no number":          {"held;dur=soon, pod;dur=1.00"},
	} {
		if trace := readTrace(header); trace != nil {
			t.Errorf("%s: read %+v", name, trace)
		}
	}
	if trace := readTrace([]string{`held;dur=0.00, pod;dur=1.20;desc="p"`}); trace == nil || trace.cold() || trace.Pod != "p" {
		t.Errorf("a pod that was there: read %+v", trace)
	}
}

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

// TestTimingHeader holds our name of the header to the activator's.
func TestTimingHeader(t *testing.T) {
	if timingHeader != proxy.Timing {
		t.Errorf("%s, want %s", timingHeader, proxy.Timing)
	}
}
