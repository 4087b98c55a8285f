package trace

import (
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	traceHex  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentHex = "00f067aa0ba902b7"
	spanHex   = "0102030405060708"
	sampled   = "00-" + traceHex + "-" + parentHex + "-01"
)

var span = SpanID{1, 2, 3, 4, 5, 6, 7, 8}

// tracer is one that records a share of what begins here.
func tracer(rate float64) *Tracer {
	t := New("test", 8, slog.New(slog.DiscardHandler))
	t.Use(Settings{Zipkin, "http://collector/", rate})
	return t
}

// TestPropagation is what goes on, of headers that were understood.
func TestPropagation(t *testing.T) {
	for name, test := range map[string]struct {
		in, out map[string]string
	}{
		"W3C": {
			map[string]string{"Traceparent": sampled, "Tracestate": "a=b"},
			map[string]string{"Traceparent": "00-" + traceHex + "-" + spanHex + "-01", "Tracestate": "a=b"},
		},
		"W3C of a later version": {
			map[string]string{"Traceparent": "cc" + sampled[2:] + "-what-the-future-brings"},
			map[string]string{"Traceparent": "00-" + traceHex + "-" + spanHex + "-01"},
		},
		"W3C that is not recorded": {
			map[string]string{"Traceparent": "00-" + traceHex + "-" + parentHex + "-00", "Tracestate": "a=b"},
			map[string]string{"Traceparent": "00-" + traceHex + "-" + parentHex + "-00", "Tracestate": "a=b"},
		},
		"B3 in one": {
			map[string]string{"B3": traceHex + "-" + parentHex + "-1"},
			map[string]string{"B3": traceHex + "-" + spanHex + "-1-" + parentHex, "Traceparent": "00-" + traceHex + "-" + spanHex + "-01"},
		},
		"B3 in one, for debugging, and with a parent": {
			map[string]string{"B3": traceHex + "-" + parentHex + "-d-1111111111111111"},
			map[string]string{"B3": traceHex + "-" + spanHex + "-d-" + parentHex, "Traceparent": "00-" + traceHex + "-" + spanHex + "-01"},
		},
		"B3 with half an ID": {
			map[string]string{"B3": traceHex[16:] + "-" + parentHex + "-1"},
			map[string]string{
				"B3":          "0000000000000000" + traceHex[16:] + "-" + spanHex + "-1-" + parentHex,
				"Traceparent": "00-0000000000000000" + traceHex[16:] + "-" + spanHex + "-01",
			},
		},
		"B3 in many": {
			map[string]string{"X-B3-Traceid": traceHex, "X-B3-Spanid": parentHex, "X-B3-Sampled": "1", "X-B3-Parentspanid": "1111111111111111"},
			map[string]string{
				"X-B3-Traceid": traceHex, "X-B3-Spanid": spanHex, "X-B3-Sampled": "1", "X-B3-Parentspanid": parentHex,
				"Traceparent": "00-" + traceHex + "-" + spanHex + "-01",
			},
		},
		"B3 in many, for debugging": {
			map[string]string{"X-B3-Traceid": traceHex, "X-B3-Spanid": parentHex, "X-B3-Flags": "1"},
			map[string]string{
				"X-B3-Traceid": traceHex, "X-B3-Spanid": spanHex, "X-B3-Flags": "1", "X-B3-Parentspanid": parentHex,
				"Traceparent": "00-" + traceHex + "-" + spanHex + "-01",
			},
		},
		"B3 in many that is not recorded": {
			map[string]string{"X-B3-Traceid": traceHex, "X-B3-Spanid": parentHex, "X-B3-Sampled": "0"},
			map[string]string{
				"X-B3-Traceid": traceHex, "X-B3-Spanid": parentHex, "X-B3-Sampled": "0",
				"Traceparent": "00-" + traceHex + "-" + parentHex + "-00",
			},
		},
		"a gateway's B3 beside a client's W3C of another trace": {
			map[string]string{
				"X-B3-Traceid": traceHex, "X-B3-Spanid": parentHex, "X-B3-Sampled": "1",
				"Traceparent": "00-11111111111111111111111111111111-2222222222222222-01", "Tracestate": "theirs=1",
			},
			map[string]string{
				"X-B3-Traceid": traceHex, "X-B3-Spanid": spanHex, "X-B3-Sampled": "1", "X-B3-Parentspanid": parentHex,
				"Traceparent": "00-" + traceHex + "-" + spanHex + "-01",
			},
		},
		"both, of one trace": {
			map[string]string{"B3": traceHex + "-" + parentHex, "Traceparent": sampled, "Tracestate": "a=b"},
			map[string]string{"B3": traceHex + "-" + spanHex + "-1-" + parentHex, "Traceparent": "00-" + traceHex + "-" + spanHex + "-01", "Tracestate": "a=b"},
		},
		"garbage in B3 beside W3C": {
			map[string]string{"B3": "what", "Traceparent": sampled},
			map[string]string{"B3": "what", "Traceparent": "00-" + traceHex + "-" + spanHex + "-01"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range test.in {
				h[k] = []string{v}
			}
			c := tracer(0).Join(h)
			switch {
			case c == nil: // they go on as they are
			case c.Sampled:
				c.Inject(h, span)
			default:
				c.InjectUnrecorded(h)
			}
			got := map[string]string{}
			for k, v := range h {
				got[k] = strings.Join(v, ",")
			}
			if diff := cmp.Diff(test.out, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

// bad are headers that name no trace.
var bad = map[string]http.Header{
	"nothing":                     {},
	"an empty one":                {"Traceparent": {""}},
	"too short":                   {"Traceparent": {sampled[:54]}},
	"too long for its version":    {"Traceparent": {sampled + "-more"}},
	"a later one that runs on":    {"Traceparent": {"01" + sampled[2:] + "more"}},
	"the version that is none":    {"Traceparent": {"ff" + sampled[2:]}},
	"upper case":                  {"Traceparent": {strings.ToUpper(sampled)}},
	"no trace":                    {"Traceparent": {"00-00000000000000000000000000000000-" + parentHex + "-01"}},
	"no span":                     {"Traceparent": {"00-" + traceHex + "-0000000000000000-01"}},
	"other separators":            {"Traceparent": {strings.ReplaceAll(sampled, "-", "_")}},
	"no digits":                   {"Traceparent": {"00-" + strings.Repeat("g", 32) + "-" + parentHex + "-01"}},
	"flags that are none":         {"Traceparent": {sampled[:53] + "zz"}},
	"two of them":                 {"Traceparent": {sampled, sampled}},
	"60 KB":                       {"Traceparent": {strings.Repeat("0", 60<<10)}},
	"bytes":                       {"Traceparent": {"\x00\xff" + sampled[2:]}},
	"B3 of 60 KB":                 {"B3": {strings.Repeat("-", 60<<10)}},
	"B3 without a span":           {"B3": {traceHex}},
	"B3 with an odd ID":           {"B3": {traceHex[:20] + "-" + parentHex}},
	"B3 with an odd decision":     {"B3": {traceHex + "-" + parentHex + "-x"}},
	"B3 with an odd parent":       {"B3": {traceHex + "-" + parentHex + "-1-x"}},
	"B3 with too much":            {"B3": {traceHex + "-" + parentHex + "-1-" + parentHex + "-1"}},
	"B3 that is zero":             {"B3": {strings.Repeat("0", 32) + "-" + parentHex}},
	"two of B3":                   {"B3": {traceHex + "-" + parentHex, traceHex + "-" + parentHex}},
	"half of B3":                  {"X-B3-Traceid": {traceHex}},
	"the other half of B3":        {"X-B3-Spanid": {parentHex}},
	"B3 with a span of 60 KB":     {"X-B3-Traceid": {traceHex}, "X-B3-Spanid": {strings.Repeat("a", 60<<10)}},
	"a decision that is none":     {"X-B3-Sampled": {"perhaps"}},
	"a state that has no parent":  {"Tracestate": {strings.Repeat("a=b,", 10_000)}},
	"a state whose parent is bad": {"Tracestate": {"a=b"}, "Traceparent": {"x"}},
}

// TestBadHeaders begins a trace of our own, as with no headers at all.
func TestBadHeaders(t *testing.T) {
	for name, h := range bad {
		t.Run(name, func(t *testing.T) {
			never := tracer(0).Join(maps.Clone(h))
			if never.Sampled || never.Parent != (SpanID{}) || never.Trace == (TraceID{}) {
				t.Errorf("at a rate of 0: %+v", never)
			}
			c := tracer(1).Join(h)
			if !c.Sampled || c.Parent != (SpanID{}) || c.Trace == (TraceID{}) {
				t.Fatalf("got %+v", c)
			}
			out := maps.Clone(h)
			c.Inject(out, span)
			if got := out.Get("Traceparent"); got != "00-"+c.Trace.String()+"-"+spanHex+"-01" || len(out["Traceparent"]) != 1 {
				t.Errorf("goes on as %q", out["Traceparent"])
			}
			if out["Tracestate"] != nil {
				t.Error("the state of another trace goes on")
			}
		})
	}
}

// TestDecisionAlone has a client that decides, and leaves the rest to us.
func TestDecisionAlone(t *testing.T) {
	for name, test := range map[string]struct {
		h    http.Header
		rate float64
		want bool
	}{
		"yes in one":     {http.Header{"B3": {"1"}}, 0, true},
		"no in one":      {http.Header{"B3": {"0"}}, 1, false},
		"debug in one":   {http.Header{"B3": {"d"}}, 0, true},
		"yes in many":    {http.Header{"X-B3-Sampled": {"1"}}, 0, true},
		"true in many":   {http.Header{"X-B3-Sampled": {"true"}}, 0, true},
		"no in many":     {http.Header{"X-B3-Sampled": {"0"}}, 1, false},
		"debug in many":  {http.Header{"X-B3-Flags": {"1"}}, 0, true},
		"left to us":     {http.Header{"B3": {traceHex + "-" + parentHex}}, 1, true},
		"left to us, no": {http.Header{"B3": {traceHex + "-" + parentHex}}, 0, false},
	} {
		if c := tracer(test.rate).Join(test.h); c.Sampled != test.want || c.Trace == (TraceID{}) {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

// TestSampling has a share of the traces recorded.
func TestSampling(t *testing.T) {
	const n = 100_000
	for _, rate := range []float64{0, 0.01, 0.5, 1} {
		tr, got := tracer(rate), 0
		for range n {
			if tr.Join(http.Header{}).Sampled {
				got++
			}
		}
		if share := float64(got) / n; share < rate-0.02 || share > rate+0.02 || rate == 0 && got > 0 || rate == 1 && got < n {
			t.Errorf("at %g: %d of %d", rate, got, n)
		}
	}
}

func TestNothingIsTraced(t *testing.T) {
	for name, tr := range map[string]*Tracer{"none": nil, "off": New("test", 1, slog.New(slog.DiscardHandler))} {
		if c := tr.Join(http.Header{"Traceparent": {sampled}}); c != nil {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func FuzzJoin(f *testing.F) {
	f.Add(sampled, "a=b", "", "", "", "")
	f.Add("", "", traceHex+"-"+parentHex+"-1-"+parentHex, "", "", "")
	f.Add("", "", "", traceHex, parentHex, "1")
	tr := tracer(1)
	f.Fuzz(func(t *testing.T, parent, state, b3, traceID, spanID, sampledText string) {
		h := http.Header{
			"Traceparent": {parent}, "Tracestate": {state}, "B3": {b3},
			"X-B3-Traceid": {traceID}, "X-B3-Spanid": {spanID}, "X-B3-Sampled": {sampledText},
		}
		c := tr.Join(h)
		if c == nil {
			return
		}
		if c.Trace == (TraceID{}) {
			t.Fatal("there is no trace")
		}
		c.Inject(h, span)
		again := read(h)
		if again.Trace != c.Trace || again.Parent != span || again.Sampled != c.Sampled {
			t.Errorf("%+v goes on as %+v, by %v", c, again, h)
		}
	})
}

func BenchmarkJoin(b *testing.B) {
	for name, test := range map[string]struct {
		tracer *Tracer
		h      http.Header
	}{
		"off":        {nil, http.Header{}},
		"unrecorded": {tracer(0), http.Header{}},
		"passed on":  {tracer(0), http.Header{"Traceparent": {sampled[:54] + "0"}}},
		"recorded":   {tracer(0), http.Header{"Traceparent": {sampled}}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				test.tracer.Join(test.h)
			}
		})
	}
}
