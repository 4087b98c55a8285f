package way

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestReadTiming is a header of the activator's, and what becomes of it.
func TestReadTiming(t *testing.T) {
	const pod = `;desc="hello-00001-deployment-x7k2p"`
	for name, test := range map[string]struct {
		header []string
		steps  string
	}{
		"from zero":       {[]string{coldTiming}, "held decided created sandbox started listening first byte"},
		"of a container":  {[]string{`held;dur=1, db;dur=7;desc="a, b"`, "held;dur=30.00, created;dur=10.00, listening;dur=20.00, pod;dur=0.01" + pod}, "held created listening first byte"},
		"in one line":     {[]string{"cache;desc=hit, held;dur=30.00, started;dur=30.00, pod;dur=70.00" + pod}, "held started first byte"},
		"warm":            {[]string{warmTiming}, "held first byte"},
		"no header":       {nil, ""},
		"a container's":   {[]string{"db;dur=7"}, ""},
		"no number":       {[]string{"held;dur=soon, pod;dur=1.00" + pod}, ""},
		"not a duration":  {[]string{"held;dur=NaN, pod;dur=1.00" + pod}, ""},
		"before it began": {[]string{"held;dur=-1, pod;dur=1.00" + pod}, ""},
		"for ever":        {[]string{"held;dur=1e300, pod;dur=1.00" + pod}, ""},
		"cut off":         {[]string{"held;dur=1.00"}, ""},
	} {
		got := readTiming(test.header)
		if got == nil {
			got = &timing{}
		}
		var steps []string
		for _, s := range got.steps {
			steps = append(steps, s.Step)
		}
		if strings.Join(steps, " ") != test.steps {
			t.Errorf("%s: steps %q, want %q", name, steps, test.steps)
		}
	}
}

// TestHops is which hops are concluded from what was seen.
func TestHops(t *testing.T) {
	all := observations(t)
	mapped := seen(t, 200, time.Second, embeddedHops(0), "Server-Timing", warmTiming)
	mapped.Local = "[::ffff:127.0.0.1]:51344" // the same address, written otherwise
	all["mapped"] = mapped
	faked := seen(t, 200, time.Second, embeddedHops(0), "Server", "istio-envoy")
	all["faked gateway"] = faked
	sidecar := kindHops(0)
	sidecar[1].Peer = "127.0.0.6:33333"
	all["sidecar"] = seen(t, 200, time.Second, sidecar, "Server", "istio-envoy")
	all["queue only"] = seen(t, 200, time.Second, embeddedHops(0)[1:])
	for name, want := range map[string]string{
		"warm-kind":      "client=reported gateway=observed activator=reported queue-proxy=reported container=observed",
		"warm-embedded":  "client=reported activator=reported queue-proxy=reported container=observed",
		"mapped":         "client=reported activator=reported queue-proxy=reported container=observed",
		"faked gateway":  "client=reported activator=reported queue-proxy=reported container=observed",
		"sidecar":        "client=reported gateway=observed activator=reported unknown=unknown queue-proxy=reported container=observed",
		"in-between":     "client=reported unknown=unknown activator=reported queue-proxy=reported container=observed",
		"activator-only": "client=reported activator=reported queue-proxy=unknown container=unknown",
		"timing-only":    "client=reported activator=unknown queue-proxy=unknown container=unknown",
		"nobody":         "client=reported unknown=unknown",
		"gateway-404":    "client=reported gateway=observed unknown=unknown",
		"queue only":     "client=reported unknown=unknown queue-proxy=reported container=observed",
		"held-503":       "client=reported activator=reported",
		"queue-503":      "client=reported activator=reported queue-proxy=reported",
		"evil":           "client=reported activator=reported queue-proxy=reported container=observed",
	} {
		w := Make(all[name])
		var got []string
		for _, h := range w.Hops {
			got = append(got, h.Name+"="+string(h.Seen))
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestTooManyHeaders says so where a proxy has left names out.
func TestTooManyHeaders(t *testing.T) {
	hops := embeddedHops(0)
	hops[0].Received = append(hops[0].Received[:2:2], "and 9998 more")
	w := Make(seen(t, 200, time.Second, hops))
	a := w.Hop(Activator)
	if a.Added != nil || a.Taken != nil || !strings.Contains(strings.Join(w.Notes, " "), "too many headers for activator") {
		t.Errorf("activator %+v, notes %q", a, w.Notes)
	}
}

// TestNobodyIsAssumed is what a hop with nothing but a name becomes.
func TestNobodyIsAssumed(t *testing.T) {
	w := Make(seen(t, 200, time.Second, []proxy.Hop{{Name: Activator}, {Name: QueueProxy}}))
	var text strings.Builder
	if err := Text(&text, w, false); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{Gateway, Container, "adds", "takes"} {
		if strings.Contains(text.String(), wrong) {
			t.Errorf("%s is drawn:\n%s", wrong, text.String())
		}
	}
}

// TestPlain is a request to what runs without the serving stack: that nothing
// behind the gateway reports is no wonder.
func TestPlain(t *testing.T) {
	o := observations(t)["gateway-404"]
	o.Request.Plain = true
	if notes := Make(o).Notes; len(notes) != 1 || notes[0] != "What is behind the gateway runs without the serving stack, and reports nothing." {
		t.Errorf("notes %q", notes)
	}
}
