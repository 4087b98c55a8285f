package load

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Sample is what is kept of one request.
type Sample struct {
	At      time.Duration // when it began, since the load did
	Late    time.Duration // how long after it was due that was
	Latency time.Duration // from when it began
	Held    time.Duration // of that, how long it waited for a pod
	Code    uint16        // 0 without an answer
	Cold    bool          // the pod it waited for was starting
	Lane    uint8         // which of the hosts of a comparison
}

// End is when it was answered, since the load began.
func (s Sample) End() time.Duration { return s.At + s.Latency }

// OK is vegeta's success.
func (s Sample) OK() bool { return s.Code >= 200 && s.Code < 400 }

// Recorder keeps what becomes of the requests of one load. It is Run's
// observer, and can be looked at meanwhile.
type Recorder struct {
	began   time.Time
	lanes   []string // hosts
	results *results // nil where nobody keeps them

	mu      sync.Mutex
	metrics vegeta.Metrics
	samples []Sample
	pods    map[string]*ColdPod
	sockets int // requests for which this machine had no socket
	err     error
}

// ColdPod is a pod for whose start requests waited.
type ColdPod struct {
	Pod      string        `json:"pod"`
	At       time.Duration `json:"at"` // when the first of them began, since the load did
	Requests int           `json:"requests"`
	Longest  time.Duration `json:"longest"`
}

// NewRecorder returns a Recorder. Where keep is not nil, every result is
// written to it in vegeta's encoding. Lanes are the hosts of a comparison.
func NewRecorder(keep io.Writer, lanes ...string) *Recorder {
	r := &Recorder{began: time.Now(), lanes: lanes, pods: map[string]*ColdPod{}}
	if keep != nil {
		r.results = newResults(keep)
	}
	return r
}

// Observe takes a request that has ended.
func (r *Recorder) Observe(h Hit) {
	s := Sample{Late: h.Late, Latency: h.Latency, Code: h.Code, Lane: r.lane(h.URL)}
	w := readWaited(h.Headers)
	s.Held, s.Cold = min(w.held, h.Latency), w.cold
	encoded := r.results.write(h.Result)

	r.mu.Lock()
	defer r.mu.Unlock()
	s.At = h.Timestamp.Sub(r.began)
	r.metrics.Add(h.Result)
	r.samples = append(r.samples, s)
	if s.Cold && s.OK() {
		r.coldStart(w.pod, s)
	}
	if s.Code == 0 && OutOfSockets(h.Error) {
		r.sockets++
	}
	if r.err == nil {
		r.err = encoded
	}
}

// lane is which host of a comparison a request went to.
func (r *Recorder) lane(target string) uint8 {
	if len(r.lanes) == 0 {
		return 0
	}
	u, err := url.Parse(target)
	if err != nil {
		return 0
	}
	return uint8(max(0, slices.Index(r.lanes, u.Host)))
}

func (r *Recorder) coldStart(pod string, s Sample) {
	p := r.pods[pod]
	if p == nil {
		p = &ColdPod{Pod: pod, At: s.At}
		r.pods[pod] = p
	}
	p.At, p.Requests, p.Longest = min(p.At, s.At), p.Requests+1, max(p.Longest, s.Held)
}

// Window is what was seen in the last seconds of a load.
type Window struct {
	Requests, Total int // that ended within, and ever
	Rate            float64
	Success         float64 // share
	P50, P95, P99   time.Duration
}

// Last looks at the requests that ended within span.
func (r *Recorder) Last(span time.Duration) Window {
	r.mu.Lock()
	now := time.Since(r.began)
	from := len(r.samples)
	for from > 0 && r.samples[from-1].End() > now-span {
		from--
	}
	recent, total := slices.Clone(r.samples[from:]), len(r.samples)
	r.mu.Unlock()

	w := Window{Requests: len(recent), Total: total, Rate: float64(len(recent)) / max(min(span, now), time.Millisecond).Seconds()}
	l := latencies(recent)
	w.P50, w.P95, w.P99 = quantile(l, 0.50), quantile(l, 0.95), quantile(l, 0.99)
	for _, s := range recent {
		if s.OK() {
			w.Success++
		}
	}
	w.Success /= float64(max(1, len(recent)))
	return w
}

// Close finishes what is kept.
func (r *Recorder) Close() error {
	if r.err == nil {
		r.err = r.results.flush()
	}
	if r.err != nil {
		return fmt.Errorf("keeping the results: %w", r.err)
	}
	return nil
}

// latencies are those of samples, in order of size.
func latencies(samples []Sample) []time.Duration {
	all := make([]time.Duration, len(samples))
	for i, s := range samples {
		all[i] = s.Latency
	}
	slices.Sort(all)
	return all
}

// quantile is the value below which a share q of sorted values lies.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// timed gives a target the header that asks for its timing.
func timed(t Target) Target {
	t.Header = t.Header.Clone()
	if t.Header == nil {
		t.Header = http.Header{}
	}
	t.Header[TimingHeader] = []string{"1"}
	return t
}

// Timed are targets whose requests ask the activator where their time goes.
func Timed(targets []Target) []Target {
	all := make([]Target, len(targets))
	for i, t := range targets {
		all[i] = timed(t)
	}
	return all
}
