package load

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// TestVegetaReadsWhatItWouldHaveWritten decodes the kept results as `vegeta
// report` does, and holds our report to vegeta's of them.
func TestVegetaReadsWhatItWouldHaveWritten(t *testing.T) {
	gateway := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vegeta-Seq") == "7" {
			http.Error(w, "no luck", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "hello")
	})
	var file bytes.Buffer
	var seen []Result
	recorder := NewRecorder(&file)
	p := Plan{Gateway: gateway, Rate: Rate{1000, time.Second}, Duration: 300 * time.Millisecond, MaxWorkers: 50, Targets: Timed(get("hello.default.example.com"))}
	e, err := Run(t.Context(), p, func(h Hit) {
		recorder.Observe(h)
		seen = append(seen, *h.Result)
	})
	if err := errors.Join(err, recorder.Close()); err != nil {
		t.Fatal(err)
	}

	var decoded []Result
	var metrics vegeta.Metrics
	decode := vegeta.DecoderFor(bytes.NewReader(file.Bytes()))
	for {
		var one Result
		if err := decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		decoded = append(decoded, one)
		metrics.Add(&one)
	}
	if diff := cmp.Diff(seen, decoded, cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("results (-seen +decoded):\n%s", diff)
	}
	metrics.Close()
	var theirs, ours bytes.Buffer
	if err := vegeta.NewTextReporter(&metrics).Report(&theirs); err != nil {
		t.Fatal(err)
	}
	report := recorder.Report(p, e, NewTimeline(), nil)
	report.Notes = nil // a slow machine may not keep the rate
	if err := report.WriteText(&ours); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(ours.String(), theirs.String()) {
		t.Errorf("our report is\n%s\nvegeta's is\n%s", &ours, &theirs)
	}
}

// sampled is a recorder of requests that were not sent.
func sampled(samples ...Sample) *Recorder {
	r := NewRecorder(nil)
	for i, s := range samples {
		h := Hit{Result: &Result{Seq: uint64(i), Code: s.Code, Timestamp: r.began.Add(s.At), Latency: s.Latency, URL: "http://a/"}, Late: s.Late}
		if s.Held > 0 {
			h.Headers = http.Header{"Server-Timing": {fmt.Sprintf(`held;dur=%.2f, pod;dur=1.00;desc="p"`, s.Held.Seconds()*1000)}}
			if s.Cold {
				h.Headers = http.Header{"Server-Timing": {fmt.Sprintf(`held;dur=%.2f, created;dur=0.10, pod;dur=1.00;desc="p"`, s.Held.Seconds()*1000)}}
			}
		}
		r.Observe(h)
	}
	return r
}

func TestColdStartsAndFormula(t *testing.T) {
	const ms = time.Millisecond
	r := sampled(
		Sample{At: 0, Latency: 1000 * ms, Held: 900 * ms, Cold: true, Code: 200},
		Sample{At: 20 * ms, Latency: 980 * ms, Held: 880 * ms, Cold: true, Code: 200},
		Sample{At: 2000 * ms, Latency: 15 * ms, Held: 5 * ms, Code: 200},
		Sample{At: 3000 * ms, Latency: 5 * ms, Code: 200},
		Sample{At: 4000 * ms, Held: 1, Cold: true, Code: 502},
	)
	report := r.Report(Plan{Rate: Rate{1, time.Second}}, Ending{Sending: 5 * time.Second}, NewTimeline(), &Scale{Metric: "concurrency", Target: 0.2, Max: 2})
	want := ColdStarts{
		Requests: 2, Pods: []ColdPod{{"p", 0, 2, 900 * ms}}, Held: 1780 * ms, Longest: 900 * ms,
		OfAll: 0.89, OfTheirs: 1780.0 / 1980, Waited: 1, Failed: 1,
	}
	if diff := cmp.Diff(want, report.Cold, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("cold starts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&Formula{Metric: "concurrency", Value: 0.4, Target: 0.2, Pods: 2}, report.Formula, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("0.4 in flight, at most 2 pods of 0.2 (-want +got):\n%s", diff)
	}
	if got := formula(Scale{Metric: "rps", Target: 140}, 281, time.Hour); got.Pods != 3 {
		t.Errorf("281/s at 140/s to a pod: %d pods; want 3", got.Pods)
	}
}

// TestAShortLoadKeptItsRate: one request in two seconds is what 3 a minute are.
func TestAShortLoadKeptItsRate(t *testing.T) {
	r := sampled(Sample{Latency: time.Millisecond, Code: 200})
	k := r.Report(Plan{Rate: Rate{3, time.Minute}, Duration: 2 * time.Second}, Ending{Sending: 2 * time.Second}, NewTimeline(), nil).Rate
	if k.Kept != 0.05 || !k.OK {
		t.Errorf("%+v; want a rate of 0.05 that was kept", k)
	}
}

func TestReadWaited(t *testing.T) {
	for header, want := range map[string]waited{
		`held;dur=121.74, decided;dur=0.22, created;dur=8.51, pod;dur=2.52;desc="hello-1"`: {held: 121740 * time.Microsecond, cold: true, pod: "hello-1"},
		`held;dur=0.00, pod;dur=2.52;desc="hello-1"`:                                       {pod: "hello-1"},
		`held;dur=7, db;dur=3, held;dur=1.50, pod;dur=2.52;desc="p"`:                       {held: 1500 * time.Microsecond, pod: "p"},
		"": {}, "db;dur=3": {}, "held;dur=x, pod;dur=1": {}, "held;dur=NaN, pod;dur=1": {}, "held;dur=-1, pod;dur=1": {}, "held;dur=1e300, pod;dur=1": {},
	} {
		if got := readWaited(http.Header{"Server-Timing": {header}}); got != want {
			t.Errorf("%q is %+v; want %+v", header, got, want)
		}
	}
	if got := readWaited(nil); got != (waited{}) {
		t.Errorf("no header is %+v", got)
	}
}

// TestMannWhitney has values that can be found elsewhere: the first pair is
// the example of R's wilcox.test, whose W of 35 counts the pairs the other way
// around; the second, with ties, is worked out by hand.
func TestMannWhitney(t *testing.T) {
	of := func(values ...float64) (all []time.Duration) {
		for _, v := range values {
			all = append(all, time.Duration(math.Round(v*100)))
		}
		return all
	}
	x := of(0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46)
	y := of(1.15, 0.88, 0.90, 0.74, 1.21)
	for _, test := range []struct {
		name    string
		a, b    []time.Duration
		u, z, p float64
	}{
		{"R", y, x, 35, 1.16346, 0.24464},
		{"R, the other way", x, y, 15, -1.16346, 0.24464},
		{"ties", of(1, 2, 2, 3), of(2, 3, 3, 4), 13, 1.36570, 0.17203},
		{"equal", of(1, 1, 1), of(1, 1, 1), 4.5, 0, 1},
		{"none", nil, nil, 0, 0, 1},
	} {
		u, z, p := mannWhitney(test.a, test.b)
		if u != test.u || math.Abs(z-test.z) > 1e-4 || math.Abs(p-test.p) > 1e-4 {
			t.Errorf("%s: U %v, z %v, p %v; want %v, %v, %v", test.name, u, z, p, test.u, test.z, test.p)
		}
	}
}

// alternating are requests to two revisions in turn.
func alternating(n int, latency func(i int, lane uint8) time.Duration) (all []Sample) {
	for i := range n {
		for lane := range uint8(2) {
			all = append(all, Sample{At: time.Duration(i) * time.Second, Latency: latency(i, lane), Code: 200, Lane: lane})
		}
	}
	return all
}

func TestCompare(t *testing.T) {
	noise := func(i int, lane uint8) time.Duration {
		return time.Duration(1000+(i*7+int(lane)*3)%100) * time.Microsecond
	}
	same := compare(alternating(200, noise))
	if same.Differ || !strings.HasPrefix(same.line(), "no difference beyond the noise (Mann-Whitney U") {
		t.Errorf("two that are the same: %s", same.line())
	}
	slower := compare(alternating(200, func(i int, lane uint8) time.Duration { return noise(i, lane) + time.Duration(lane)*40*time.Microsecond }))
	slower.A.Revision, slower.B.Revision = "a", "b"
	if !slower.Differ || slower.Effect < 0.6 || !strings.HasPrefix(slower.line(), "b is slower than a, in ") {
		t.Errorf("one that is 4%% slower: %s", slower.line())
	}
	faster := compare(alternating(200, func(i int, lane uint8) time.Duration { return noise(i, lane) - time.Duration(lane)*40*time.Microsecond }))
	faster.A.Revision, faster.B.Revision = "a", "b"
	if !faster.Differ || !strings.HasPrefix(faster.line(), "a is slower than b, in ") {
		t.Errorf("one that is 4%% faster: %s", faster.line())
	}
	if few := compare(alternating(10, noise)); few.Differ || !strings.HasPrefix(few.line(), "too few requests") {
		t.Errorf("10 of each: %s", few.line())
	}
}

func TestCompareLeavesOutColdStarts(t *testing.T) {
	samples := alternating(30, func(int, uint8) time.Duration { return 10 * time.Millisecond })
	samples[10].Cold, samples[10].Latency = true, 1500*time.Millisecond // of A, from 5 to 6.5 s, and three seconds after it
	samples[40].Code = http.StatusBadGateway
	c := compare(samples)
	want := [2]Side{{Requests: 24, LeftOut: 5, Failed: 1}, {Requests: 25, LeftOut: 5}}
	for i, got := range []Side{c.A, c.B} {
		if got.Requests != want[i].Requests || got.LeftOut != want[i].LeftOut || got.Failed != want[i].Failed {
			t.Errorf("side %d: %+v; want %+v", i, got, want[i])
		}
	}
}

func TestTimeline(t *testing.T) {
	tl := NewTimeline()
	if _, ok := tl.Now(); ok {
		t.Error("an empty timeline knows pods")
	}
	tl.Set(0, 0, 0)
	tl.Set(0, 0, 0)
	tl.Set(1, 1, 1)
	began := time.Now()
	tl.Set(2, 2, 2)
	tl.Add(MarkNew, "b")
	pods, marks := tl.all(began)
	if len(pods) != 2 || pods[0].Ready != 1 || pods[0].At != 0 || pods[1].Ready != 2 || len(marks) != 1 {
		t.Errorf("%+v, %+v; want the pods at the begin, the change after it, and a mark", pods, marks)
	}
}

// big is a load with all there can be in it.
func big(n int) *Report {
	r := NewRecorder(nil)
	for i := range n {
		at := time.Duration(i) * 20 * time.Millisecond
		code := uint16(200)
		if i%997 == 0 {
			code = 502
		}
		header := http.Header{}
		if i < 40 {
			header["Server-Timing"] = []string{fmt.Sprintf(`held;dur=800, created;dur=1, pod;dur=1;desc="<pod-%d>"`, i%3)}
		}
		r.Observe(Hit{Result: &Result{Code: code, Timestamp: r.began.Add(at), Latency: time.Duration(1+i%50) * time.Millisecond, Headers: header, URL: "http://a/"}})
	}
	tl := NewTimeline()
	for i := range 5 {
		tl.Set(i, i, i+1)
		tl.Add(MarkNew, "<b>hello</b>")
		tl.Add(MarkLive, "hello-00002")
	}
	tl.began = r.began
	report := r.Report(Plan{}, Ending{Began: r.began, Sending: time.Minute}, tl, nil)
	report.Service = `a "<service>"`
	return report
}

func TestThePlotIsOneSmallWellFormedFile(t *testing.T) {
	sizes := map[int]int{}
	for _, n := range []int{0, 1, 1500, 15_000, 60_000} {
		var page bytes.Buffer
		if err := big(n).WritePlot(&page); err != nil {
			t.Fatal(err)
		}
		sizes[n] = page.Len()
		wellFormed(t, page.Bytes())
		for _, not := range []string{"http-equiv=\"refresh", "src=", "href=", "url(", "@import", "<script", "NaN", "Inf", "ZgotmplZ", "<b>hello"} {
			if strings.Contains(page.String(), not) {
				t.Errorf("the plot of %d requests has %q", n, not)
			}
		}
	}
	if sizes[60_000] > 300<<10 || sizes[60_000] > sizes[15_000]*11/10 {
		t.Errorf("the plots have %v bytes by requests; want a bound", sizes)
	}
}

// wellFormed reads the page as XML, which its markup is up to HTML's doctype
// and its void elements.
func wellFormed(t *testing.T, page []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = true, []string{"meta"}, xml.HTMLEntity
	seen := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the plot is not well-formed: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			seen[start.Name.Local]++
		}
	}
	if seen["svg"] != 1 || seen["path"] < 8 {
		t.Errorf("the plot has the elements %v", seen)
	}
}

func TestTheReportIsJSON(t *testing.T) {
	data, err := json.Marshal(big(0))
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"service", "vegeta", "rate", "pods", "revisions", "coldStarts", "notes", "ended"} {
		if back[name] == nil {
			t.Errorf("the report has no %s: %s", name, data)
		}
	}
}
