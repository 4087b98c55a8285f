package activator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// TestTiming is which of a pod's steps a request waited for, and for how long.
func TestTiming(t *testing.T) {
	noon := time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	for name, test := range map[string]struct {
		reached milestones
		held    int
		want    string
	}{
		"from zero": {
			milestones{at(1), at(5), at(20), at(70), at(100)}, 101,
			"held;dur=101.00, decided;dur=1.00, created;dur=4.00, sandbox;dur=15.00, started;dur=50.00, listening;dur=30.00, pod;dur=19.00",
		},
		"a pod that was there": {
			milestones{at(-900), at(-800), at(-700), at(-600), at(-500)}, 0,
			"held;dur=0.00, pod;dur=120.00",
		},
		"a pod that was on its way": {
			milestones{at(-20), at(-10), at(-5), at(40), at(60)}, 60,
			"held;dur=60.00, started;dur=40.00, listening;dur=20.00, pod;dur=60.00",
		},
		"a pod of somebody else's": {
			milestones{created: at(5), sandbox: at(20), started: at(70), listening: at(100)}, 100,
			"held;dur=100.00, created;dur=5.00, sandbox;dur=15.00, started;dur=50.00, listening;dur=30.00, pod;dur=20.00",
		},
		"a container that came back": {
			milestones{at(-900), at(-800), at(-700), at(-600), at(30)}, 30,
			"held;dur=30.00, listening;dur=30.00, pod;dur=90.00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rev := &revision{}
			trip := &trip{revision: rev, arrived: noon, held: time.Duration(test.held) * time.Millisecond,
				pod: &pod{podSpec: podSpec{name: "p"}, revision: rev, reached: test.reached}}
			if got, want := trip.timing(at(120)), test.want+`;desc="p"`; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestDecidedByAnotherClock has a controller whose clock is not ours.
func TestDecidedByAnotherClock(t *testing.T) {
	now := time.Now()
	if m := begun(podSpec{decided: now.Add(time.Second)}, now); !m.decided.IsZero() {
		t.Errorf("a pod that is there was decided on at %s", m.decided)
	}
}

// TestServerTiming holds a request from zero, and lets the pod come step by
// step.
func TestServerTiming(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	req := b.request(t.Context(), http.MethodGet, "/", nil)
	req.Header.Set(proxy.Timing, "1")
	go func() {
		b.waiting("hello-00001", 1)
		decided := time.Now().Format(time.RFC3339Nano)
		b.change(func(o *objects) {
			o.pods = []corev1.Pod{makePod("p", "hello-00001", "", func(p *corev1.Pod) {
				p.Annotations = map[string]string{servingv1.DecidedAnnotation: decided}
			})}
		})
		p := b.pod("p", "hello-00001", says("hello"), func(c *podConfig) { c.lateUser = true })
		b.until("queue-proxy takes connections", func() bool {
			return b.look("hello-00001", func(r *revision) int {
				if r.pods[p.pod.UID].reached.started.IsZero() {
					return 0
				}
				return 1
			}) == 1
		})
		p.startUser()
	}()
	c := newClient(t, false)
	began := time.Now()
	resp, err := c.Do(req)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(resp); got != "200 hello" {
		t.Errorf("got %q", got)
	}
	header := resp.Header.Get("Server-Timing")
	var held, decided, created, sandbox, started, listening, pod float64
	if _, err := fmt.Sscanf(header, `held;dur=%f, decided;dur=%f, created;dur=%f, sandbox;dur=%f, started;dur=%f, listening;dur=%f, pod;dur=%f;desc="p"`,
		&held, &decided, &created, &sandbox, &started, &listening, &pod); err != nil {
		t.Fatalf("got %q: %v", header, err)
	}
	steps := decided + created + sandbox + started + listening
	if all := held + pod; held <= 0 || pod <= 0 || all > float64(took)/float64(time.Millisecond) {
		t.Errorf("the parts are longer than the whole, %s: %q", took, header)
	}
	if apart := steps - held; apart > 10 || apart < -10 {
		t.Errorf("the pod's steps take %.2f ms: %q", steps, header)
	}

	req.Header.Set(proxy.Timing, "1")
	if resp, err = c.Do(req); err != nil {
		t.Fatal(err)
	}
	read(resp)
	if header := resp.Header.Get("Server-Timing"); strings.Count(header, ",") != 1 {
		t.Errorf("a pod that was there: %q", header)
	}
}
