package compare

import (
	"slices"
	"time"

	"github.com/kind-in-a-box/devbox/internal/load"
)

// Report is what came of a comparison. Durations are in nanoseconds, memory is
// in bytes.
type Report struct {
	Program  string        `json:"program"` // the service's name
	Image    string        `json:"image"`
	Began    time.Time     `json:"began"`
	Took     time.Duration `json:"took"`
	Rounds   int           `json:"rounds"`   // of load
	Duration time.Duration `json:"duration"` // of each load
	Rate     string        `json:"rate"`     // of requests to each variant, which the latencies are of
	Workers  int           `json:"workers"`  // requests in flight, where it goes as fast as it can

	Variants    []*Result    `json:"variants"`
	Differences []Difference `json:"differences"`
	Words       []string     `json:"words"` // what the serving stack adds and what it takes
}

// Result is what came of one variant.
type Result struct {
	Variant string `json:"variant"`
	Serving bool   `json:"serving"` // by the serving stack
	Sidecar bool   `json:"sidecar"`
	Host    string `json:"host"`

	First [][]Request    `json:"first"`          // the first requests of each round, one after the other
	Cold  *time.Duration `json:"cold,omitempty"` // the first of the first, where there was no pod: its median

	Requests int           `json:"requests"` // of all loads
	Failed   int           `json:"failed"`
	Success  float64       `json:"success"` // share
	P50      time.Duration `json:"50th"`
	P95      time.Duration `json:"95th"`
	P99      time.Duration `json:"99th"`

	Fast      []float64 `json:"fast"`      // requests a second of each round, where it goes as fast as it can
	PerSecond float64   `json:"perSecond"` // their median

	Idle       Idle        `json:"idle"`
	Pods       []int       `json:"pods"`       // after each round
	Containers []Container `json:"containers"` // on the way, in its order

	latencies []time.Duration
	answered  int // where it goes as fast as it can
}

// Idle is what a variant has of its own while nobody asks.
type Idle struct {
	Pods   int    `json:"pods"`
	Memory uint64 `json:"memory"`
}

// Container is what a container on the way takes.
type Container struct {
	Name   string        `json:"name"`
	Shared bool          `json:"shared"` // with other services
	Memory uint64        `json:"memory"` // after the last round
	CPU    time.Duration `json:"cpu"`    // for a request, where it goes as fast as it can

	spent time.Duration
}

// Difference is whether requests to B take longer than those to A.
type Difference struct {
	A string `json:"a"`
	B string `json:"b"`
	// By is B's median less A's.
	By time.Duration `json:"by"`
	// P is the chance of the difference by noise alone; Effect, that a request
	// to B takes longer than one to A.
	P      float64 `json:"p"`
	Effect float64 `json:"effect"`
	Size   string  `json:"size"`
	// Beyond says that it is beyond the noise, and large enough to be seen.
	Beyond bool `json:"beyondNoise"`
}

// add puts a whole turn to a result.
func (r *Result) add(m *measured) {
	r.latencies = append(r.latencies, m.rated.answered...)
	for _, l := range []loaded{m.rated, m.fast} {
		r.Requests += len(l.answered) + l.failed
		r.Failed += l.failed
	}
	r.Fast = append(r.Fast, float64(len(m.fast.answered))/max(m.fast.took.Seconds(), 1e-9))
	r.answered += len(m.fast.answered)
	r.Pods = append(r.Pods, m.pods)
	for _, p := range m.way {
		used, c := m.taken[p.name], r.container(p)
		c.Memory, c.spent = used.Memory, c.spent+used.CPU
	}
}

// container is that of a place, which gets one where it has none. Containers
// of one name are one.
func (r *Result) container(p place) *Container {
	i := slices.IndexFunc(r.Containers, func(c Container) bool { return c.Name == p.name })
	if i < 0 {
		i = len(r.Containers)
		r.Containers = append(r.Containers, Container{Name: p.name, Shared: p.shared})
	}
	return &r.Containers[i]
}

// close computes what is of all turns together.
func (r *Result) close() {
	slices.Sort(r.latencies)
	r.P50, r.P95, r.P99 = quantile(r.latencies, 0.50), quantile(r.latencies, 0.95), quantile(r.latencies, 0.99)
	r.Success = float64(r.Requests-r.Failed) / float64(max(1, r.Requests))
	r.PerSecond = median(r.Fast)
	for i := range r.Containers {
		c := &r.Containers[i]
		c.CPU = c.spent / time.Duration(max(1, r.answered))
	}
	if r.Serving && len(r.First) > 0 {
		cold := r.first(0, func(q Request) time.Duration { return q.Total })
		r.Cold = &cold
	}
}

// first is the median, over the rounds, of one time of the nth of the first
// requests.
func (r *Result) first(n int, of func(Request) time.Duration) time.Duration {
	var all []time.Duration
	for _, round := range r.First {
		if n < len(round) {
			all = append(all, of(round[n]))
		}
	}
	return median(all)
}

// own is the memory of a variant's own containers.
func (r *Result) own() uint64 {
	var sum uint64
	for _, c := range r.Containers {
		if !c.Shared {
			sum += c.Memory
		}
	}
	return sum
}

// cpu is what all containers on the way take for a request.
func (r *Result) cpu() time.Duration {
	var sum time.Duration
	for _, c := range r.Containers {
		sum += c.CPU
	}
	return sum
}

// of is what a container of a name takes; the zero one where there is none.
func (r *Result) of(name string) Container {
	for _, c := range r.Containers {
		if c.Name == name {
			return c
		}
	}
	return Container{Name: name}
}

// report is what the whole turns say.
func (r *run) report() *Report {
	out := &Report{
		Program: r.cfg.Service.Name, Image: r.cfg.Image, Began: r.began, Took: time.Since(r.began),
		Rounds: r.rounds, Duration: r.cfg.Duration, Rate: r.cfg.Rate.String(), Workers: workers,
	}
	for _, v := range Variants {
		result := r.results[v.Name]
		result.close()
		out.Variants = append(out.Variants, result)
	}
	out.finish()
	return out
}

// pairs are who is compared with whom: what the serving stack adds, without a
// sidecar and with one, and what a sidecar adds.
var pairs = [][2]string{
	{"istio", "serving"}, {"istio-sidecar", "serving-mesh"}, {"istio", "istio-sidecar"}, {"serving", "serving-mesh"},
}

// finish compares the variants, and puts it into words.
func (r *Report) finish() {
	for _, p := range pairs {
		r.Differences = append(r.Differences, differ(r.variant(p[0]), r.variant(p[1])))
	}
	r.Words = words(r)
}

func differ(a, b *Result) Difference {
	c := load.Compare(a.latencies, b.latencies)
	return Difference{
		A: a.Variant, B: b.Variant, By: b.P50 - a.P50, P: c.P, Effect: c.Effect, Size: c.Size(),
		Beyond: c.Differ && c.Size() != "negligible",
	}
}

// variant is the result of a name, which is one of Variants.
func (r *Report) variant(name string) *Result {
	i := slices.IndexFunc(r.Variants, func(v *Result) bool { return v.Variant == name })
	return r.Variants[i]
}

// difference is that of two.
func (r *Report) difference(a, b string) Difference {
	i := slices.IndexFunc(r.Differences, func(d Difference) bool { return d.A == a && d.B == b })
	return r.Differences[i]
}

// quantile is the value below which a share q of sorted values lies.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// median is the middle one; of an even number the mean of the two.
func median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
