package way

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

var update = flag.Bool("update", false, "write the golden files again")

const (
	coldTiming = `held;dur=121.74, decided;dur=0.22, created;dur=8.51, sandbox;dur=102.90, started;dur=0.47, listening;dur=9.61, pod;dur=2.52;desc="hello-00001-deployment-x7k2p"`
	warmTiming = `held;dur=0.01, pod;dur=1.90;desc="hello-00001-deployment-x7k2p"`
)

// ours are the headers that this program sends to hello.
var ours = []string{"Host", "User-Agent", "Devbox-Timing", "Devbox-Trace"}

// kindHops are the reports on kind, where Envoy is in front.
func kindHops(waited time.Duration) []proxy.Hop {
	received := []string{
		"Devbox-Timing", "Devbox-Trace", "Host", "User-Agent", "X-Envoy-Attempt-Count", "X-Envoy-Decorator-Operation",
		"X-Envoy-Internal", "X-Envoy-Peer-Metadata", "X-Envoy-Peer-Metadata-Id", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id",
	}
	sent := append([]string{"K-Proxy-Request", "Knative-Serving-Namespace", "Knative-Serving-Revision"}, received...)
	return []proxy.Hop{
		{
			Name: Activator, Pod: "activator-7d4b9c6f5-k2x8p", Revision: "hello-00001",
			Peer: "10.244.0.6:43210", Listen: "10.244.0.8:8012", From: "10.244.0.8:51712", To: "10.244.0.11:8012",
			Protocol: "HTTP/1.1", ProtocolSent: "HTTP/1.1", Received: received, Sent: sent,
			Waited: waited, FirstByte: waited + 2520*time.Microsecond,
		},
		{
			Name: QueueProxy, Pod: "hello-00001-deployment-x7k2p", Revision: "hello-00001",
			Peer: "10.244.0.8:51712", Listen: "10.244.0.11:8012", From: "127.0.0.1:39000", To: "127.0.0.1:8080",
			Protocol: "HTTP/1.1", ProtocolSent: "HTTP/1.1", Received: sent, Sent: append([]string{"Forwarded"}, received...),
			FirstByte: 1300 * time.Microsecond,
		},
	}
}

// embeddedHops are the reports on the embedded engine, where the client asks
// the activator.
func embeddedHops(waited time.Duration) []proxy.Hop {
	hops := kindHops(waited)
	a, q := &hops[0], &hops[1]
	a.Pod, a.Peer, a.Listen, a.From, a.To = "", "127.0.0.1:51344", "127.0.0.1:8080", "127.0.0.1:40112", "127.103.165.184:8012"
	a.Received = ours
	a.Sent = append([]string{"K-Proxy-Request", "Knative-Serving-Namespace", "Knative-Serving-Revision", "X-Forwarded-For", "X-Forwarded-Proto"}, ours...)
	q.Peer, q.Listen, q.From, q.To = a.From, a.To, "127.0.0.1:42086", "127.103.165.184:34567"
	q.Received, q.Sent = a.Sent, append([]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"}, ours...)
	return hops
}

// seen is an observation of hello.
func seen(t *testing.T, status int, took time.Duration, hops []proxy.Hop, answer ...string) Observation {
	t.Helper()
	header := http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"12"}}
	for i := len(hops) - 1; i >= 0; i-- {
		if err := hops[i].Add(header); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(answer); i += 2 {
		header.Add(answer[i], answer[i+1])
	}
	return Observation{
		Request: Request{Service: "hello", Namespace: "default", Host: "hello.default.example.com", Path: "/?token=secret"},
		Local:   "127.0.0.1:51344", Remote: "127.0.0.1:8080", Sent: ours, Wrote: 410 * time.Microsecond, Took: took,
		Status: status, Answer: header,
	}
}

// observations are the ways that are drawn, each in a golden file.
func observations(t *testing.T) map[string]Observation {
	cold, warm := 121740*time.Microsecond, 10*time.Microsecond
	long, short := 129700*time.Microsecond, 4300*time.Microsecond
	server := []string{"Server", "istio-envoy", "X-Envoy-Upstream-Service-Time", "4"}
	timed := func(timing string, more ...string) []string {
		return append([]string{"Server-Timing", timing}, more...)
	}
	all := map[string]Observation{
		"warm-kind":     seen(t, 200, short, kindHops(warm), timed(warmTiming, server...)...),
		"cold-kind":     seen(t, 200, long, kindHops(cold), timed(coldTiming, server...)...),
		"warm-embedded": seen(t, 200, short, embeddedHops(warm), timed(warmTiming)...),
		"cold-embedded": seen(t, 200, long, embeddedHops(cold), timed(coldTiming)...),
		// The pod was made by a devbox whose queue-proxy tells nothing.
		"activator-only": seen(t, 200, short, embeddedHops(warm)[:1], timed(warmTiming)...),
		// All of the box is of such a devbox.
		"timing-only": seen(t, 200, long, nil, timed(coldTiming)...),
		"nobody":      seen(t, 200, short, nil),
		// Envoy knows no such host.
		"gateway-404": seen(t, 404, short, nil, "Server", "istio-envoy"),
		// Something else is in front of the box.
		"in-between": seen(t, 200, short, kindHops(warm), timed(warmTiming)...),
	}
	held := embeddedHops(cold)[:1]
	held[0].To, held[0].From, held[0].Sent, held[0].FirstByte = "", "", nil, cold
	held[0].ProtocolSent = ""
	unavailable := seen(t, 503, long, held)
	unavailable.Message = "no pod of default/hello-00001 took the request within 1s"
	all["held-503"] = unavailable
	refused := embeddedHops(warm)
	refused[1].To, refused[1].From, refused[1].Sent, refused[1].ProtocolSent = "", "", nil, ""
	refused[1].Waited, refused[1].FirstByte = 900*time.Microsecond, 910*time.Microsecond
	all["queue-503"] = seen(t, 503, short, refused, timed(warmTiming)...)
	crashed := embeddedHops(warm)
	crashed[1].ProtocolSent = ""
	all["crashed-502"] = seen(t, 502, short, crashed, timed(warmTiming)...)
	// What a container says may be anything.
	evil := seen(t, 404, short, append(embeddedHops(warm), proxy.Hop{Name: QueueProxy, Pod: "a lie"}), timed(warmTiming, "X<script>", "&\x1b[31m")...)
	evil.Message = "<script>alert('x')</script> & \x1b[31mred\x07 ]]> \xff " + strings.Repeat("long", 60)
	all["evil"] = evil
	for name, o := range meshed(t) {
		all[name] = o
	}
	all["redirected"] = seen(t, 200, short, embeddedHops(warm), timed(warmTiming)...)
	return all
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (write it again with -update and read the diff):\n%s", file, diff)
	}
}

func TestDrawing(t *testing.T) {
	for name, o := range observations(t) {
		t.Run(name, func(t *testing.T) {
			w := Make(o)
			if name == "redirected" { // by nothing that there is today
				w.Hop(QueueProxy).Redirect = "ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT"
			}
			var text, coloured, image bytes.Buffer
			for _, err := range []error{Text(&text, w, false), Text(&coloured, w, true), SVG(&image, w)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			golden(t, name+".txt", text.String())
			golden(t, name+".svg", image.String())
			fits(t, text.String())
			wellFormed(t, image.String())
			if plain := colours.ReplaceAllString(coloured.String(), ""); plain != text.String() {
				t.Errorf("without its colours it is another picture:\n%s", cmp.Diff(text.String(), plain))
			}
			for _, wrong := range []string{"secret", "\x1b", "\x07"} {
				if strings.Contains(text.String()+image.String(), wrong) {
					t.Errorf("%q is in the picture", wrong)
				}
			}
		})
	}
}

// fits is whether every line is within 80 columns.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if got := cells.StringWidth(strings.TrimSuffix(line, "\n")); got > textColumns {
			t.Errorf("%d columns: %s", got, line)
		}
	}
}

// wellFormed is whether text is XML with one svg in it, and runs nothing.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	roots, depth := 0, 0
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			if e.Name.Local == "script" || e.Name.Local == "foreignObject" {
				t.Errorf("there is a %s in it", e.Name.Local)
			}
		case xml.EndElement:
			depth--
		}
	}
	if roots != 1 {
		t.Errorf("%d roots, want 1", roots)
	}
}

// TestJSON holds the names that others read.
func TestJSON(t *testing.T) {
	text, err := json.Marshal(Make(observations(t)["cold-kind"]))
	if err != nil {
		t.Fatal(err)
	}
	var w struct {
		Pod    string
		Status int
		Took   time.Duration
		Steps  []struct{ Step string }
		Hops   []struct {
			Name, Seen, Listen string
			Own, Waited        time.Duration
		}
	}
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	if w.Status != 200 || len(w.Steps) != 7 || len(w.Hops) != 5 || w.Hops[2].Listen != "10.244.0.8:8012" || w.Took != 124260*time.Microsecond {
		t.Errorf("read %+v", w)
	}
	var sum time.Duration
	for _, h := range w.Hops {
		sum += h.Own + h.Waited
	}
	if sum != 129700*time.Microsecond {
		t.Errorf("the parts are %s, want the whole", sum)
	}
}
