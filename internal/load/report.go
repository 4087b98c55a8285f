package load

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Report is what came of a load. Durations are in nanoseconds. Vegeta has the
// numbers of vegeta's own JSON report, by their names.
type Report struct {
	Service    string          `json:"service"`
	Namespace  string          `json:"namespace"`
	Target     string          `json:"target"` // the first of them
	Began      time.Time       `json:"began"`
	Ended      string          `json:"ended"` // EndDone, EndInterrupted, EndLost or EndFull
	Why        string          `json:"why,omitempty"`
	Unfinished int             `json:"unfinished"` // requests in flight that were not waited for
	Vegeta     *vegeta.Metrics `json:"vegeta"`
	Rate       Kept            `json:"rate"`
	Pods       []Pods          `json:"pods"` // a line a change; none where they are not known
	Marks      []Mark          `json:"revisions"`
	Cold       ColdStarts      `json:"coldStarts"`
	Formula    *Formula        `json:"autoscaler,omitempty"`
	Compared   *Comparison     `json:"compare,omitempty"`
	Notes      []string        `json:"notes"`

	samples []Sample
}

// How a load ended.
const (
	EndDone        = "done"
	EndInterrupted = "interrupted"
	EndLost        = "lost" // the box went away
	EndFull        = "full" // there were as many requests as are kept
)

// Kept says whether the generator kept the rate that was asked for.
type Kept struct {
	Asked float64 `json:"asked"` // requests a second; 0 is as many as go
	Kept  float64 `json:"kept"`  // that began in each second of the load
	// OK says that the latencies are those of the rate that was asked for.
	OK      bool          `json:"ok"`
	Unsent  uint64        `json:"unsent"` // requests that were due and never began
	Late    int           `json:"late"`   // requests that began more than LateAfter after they were due
	Latest  time.Duration `json:"latest"` // how much after, at worst
	FromDue Quantiles     `json:"fromDue"`
}

// Quantiles are of the latency from the moment when requests were due.
type Quantiles struct {
	P50 time.Duration `json:"50th"`
	P95 time.Duration `json:"95th"`
	P99 time.Duration `json:"99th"`
	Max time.Duration `json:"max"`
}

// LateAfter is a delay of the generator that shows in a latency.
const LateAfter = 10 * time.Millisecond

const (
	keptShare = 0.99 // of the requests that were due must have begun
	lateShare = 0.01 // of them may be late
)

// ColdStarts are the requests that waited for a pod to start.
type ColdStarts struct {
	Requests int           `json:"requests"`
	Pods     []ColdPod     `json:"pods"`
	Held     time.Duration `json:"held"`    // together
	Longest  time.Duration `json:"longest"` // of one
	// OfAll and OfTheirs are the shares of Held in the latency of all requests
	// and of these.
	OfAll    float64 `json:"ofAllLatency"`
	OfTheirs float64 `json:"ofTheirLatency"`
	// Waited are those that waited for a pod that was there already.
	Waited int `json:"waited"`
	// Failed are those that waited for a pod to start and were then answered
	// with a failure. Nothing else here counts them.
	Failed int `json:"failed"`
}

// Formula is what the autoscaler's formula says of the load as a whole.
type Formula struct {
	Metric string  `json:"metric"` // concurrency or rps
	Value  float64 `json:"value"`  // of the load
	Target float64 `json:"target"` // a pod is to have
	Pods   int     `json:"pods"`   // the value by the target, rounded up, within min-scale and max-scale
}

// Scale is what the autoscaler goes by for a revision.
type Scale struct {
	Metric   string
	Target   float64
	Min, Max int // Max 0 is none
}

// End says how the load ended, and where that is not as it was meant to, why.
func (r *Report) End(how, why string) {
	r.Ended, r.Why = how, why
	if why != "" {
		r.Notes = append([]string{strings.ToUpper(why[:1]) + why[1:] + "."}, r.Notes...)
	}
}

// Report is what the recorder has seen of the load that p asked for. Where
// scale is nil, nothing is known of the autoscaler.
func (r *Recorder) Report(p Plan, e Ending, t *Timeline, scale *Scale) *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics.Close()
	sending := e.Sending
	if p.Duration > 0 {
		sending = min(sending, p.Duration) // its timer may be late
	}
	report := &Report{
		Began: e.Began, Ended: EndDone, Unfinished: e.Unfinished, Vegeta: &r.metrics,
		Rate: kept(p.Rate, sending, r.samples, e.Unfinished), Cold: coldStarts(r.samples, r.pods),
		Notes: []string{}, samples: r.samples,
	}
	report.Pods, report.Marks = t.all(r.began)
	if scale != nil && len(r.samples) > 0 {
		report.Formula = formula(*scale, report.Rate.Kept, r.metrics.Latencies.Mean)
	}
	if len(r.lanes) == 2 {
		report.Compared = compare(r.samples)
	}
	report.notes(r.sockets)
	return report
}

// kept measures the generator. Requests that nobody waited for had begun.
func kept(asked Rate, sending time.Duration, samples []Sample, unfinished int) Kept {
	k := Kept{Asked: asked.PerSecond(), OK: true}
	began := uint64(len(samples) + unfinished)
	// Requests stand for the time until the next one is due, which is after the
	// end of a load that is shorter than that.
	if span := max(sending, asked.due(began)); span > 0 {
		k.Kept = float64(began) / span.Seconds()
	}
	fromDue := make([]time.Duration, len(samples))
	for i, s := range samples {
		fromDue[i] = s.Late + s.Latency
		k.Latest = max(k.Latest, s.Late)
		if s.Late > LateAfter {
			k.Late++
		}
	}
	slices.Sort(fromDue)
	k.FromDue = Quantiles{quantile(fromDue, 0.50), quantile(fromDue, 0.95), quantile(fromDue, 0.99), quantile(fromDue, 1)}
	if asked.Unbound() {
		return k
	}
	due := asked.within(sending)
	k.Unsent = due - min(due, began)
	k.OK = !k.short() && float64(k.Late) <= lateShare*float64(began)+1
	return k
}

// short says that fewer requests began than were asked for. One is nothing: a
// load may be cut short in the moment in which it is due.
func (k Kept) short() bool {
	return k.Unsent > 1 && k.Kept < keptShare*k.Asked
}

func coldStarts(samples []Sample, pods map[string]*ColdPod) ColdStarts {
	c := ColdStarts{Pods: []ColdPod{}}
	var all, theirs time.Duration
	for _, s := range samples {
		all += s.Latency
		switch {
		case !s.Cold && s.Held > time.Millisecond:
			c.Waited++
		case s.Cold && !s.OK():
			c.Failed++
		}
		if !s.Cold || !s.OK() {
			continue
		}
		c.Requests++
		c.Held += s.Held
		c.Longest = max(c.Longest, s.Held)
		theirs += s.Latency
	}
	if c.Requests > 0 {
		c.OfAll, c.OfTheirs = share(c.Held, all), share(c.Held, theirs)
	}
	for _, p := range pods {
		c.Pods = append(c.Pods, *p)
	}
	slices.SortFunc(c.Pods, func(a, b ColdPod) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Pod, b.Pod)) })
	return c
}

func share(part, whole time.Duration) float64 { return float64(part) / float64(max(1, whole)) }

// formula is Knative's for a steady load: by Little's law the requests in
// flight are the rate times the mean latency.
func formula(s Scale, rate float64, mean time.Duration) *Formula {
	f := &Formula{Metric: s.Metric, Value: rate, Target: s.Target}
	if s.Metric != "rps" {
		f.Value = rate * mean.Seconds()
	}
	f.Pods = max(int(math.Ceil(f.Value/s.Target)), s.Min)
	if s.Max > 0 {
		f.Pods = min(f.Pods, s.Max)
	}
	return f
}
