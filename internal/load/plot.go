package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

//go:embed plot.html
var plotSource string

var plotTemplate = template.Must(template.New("plot").Parse(plotSource))

// The picture, in units of the SVG. One time axis serves both panels:
//
//	top    ┌───────────────┐ latency, logarithmic
//	low    └───────────────┘
//	high   ┌───────────────┐ pods
//	bottom └───────────────┘
const (
	left, right  = 62.0, 988.0
	top, low     = 44.0, 344.0
	high, bottom = 384.0, 484.0

	buckets   = 200  // at most: spans of time with percentiles of their own
	perBucket = 50   // requests that make percentiles worth drawing
	dots      = 1200 // requests shown, of all of them
	maxMarks  = 500  // of each kind
	maxLabels = 12   // marks that have their name written
)

// plot is what the template draws.
type plot struct {
	Title, Subtitle, Text string
	Left, Right, Top, Low float64
	High, Bottom          float64
	P50, P95, P99         string // paths
	Wanted, Ready         string
	Dots, ColdDots        string // one path of many short strokes each
	FailedDots            string
	Times, Latencies      []tick
	Counts                []tick
	Marks                 []plotMark
	Pods                  []plotMark // that requests waited for
	Spans                 []span
}

type tick struct {
	At   float64
	Text string
}

type plotMark struct {
	X, Y        float64
	Kind, Label string
	Title       string
	Anchor      string
}

type span struct {
	X, Width float64
	Title    string
}

// WritePlot writes the report as one page of HTML that needs nothing else.
// Its size does not grow with the number of requests.
func (r *Report) WritePlot(out io.Writer) error {
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		return err
	}
	p := plot{
		Title:    fmt.Sprintf("devbox load %s", r.Service),
		Subtitle: fmt.Sprintf("%s, %s; %s", r.Target, r.Began.Format("2006-01-02 15:04:05"), plural(len(r.samples), "request")),
		Text:     text.String(), Left: left, Right: right, Top: top, Low: low, High: high, Bottom: bottom,
	}
	a := axes(r.samples, r.Pods)
	p.draw(r, a)
	if err := plotTemplate.Execute(out, p); err != nil {
		return fmt.Errorf("drawing the plot: %w", err)
	}
	return nil
}

// axis turns times, latencies and counts into places.
type axis struct {
	length         time.Duration
	lowest, decade float64 // log10 of the lowest latency, and how many decades there are
	most           int     // pods
}

func axes(samples []Sample, pods []Pods) axis {
	a := axis{length: time.Second, most: 1}
	least, longest := time.Hour, time.Millisecond
	for _, s := range samples {
		a.length = max(a.length, s.End())
		least, longest = min(least, max(s.Latency, time.Microsecond)), max(longest, s.Latency)
	}
	for _, p := range pods {
		a.most = max(a.most, p.Ready, p.Wanted)
	}
	a.lowest = math.Floor(math.Log10(float64(min(least, longest))))
	a.decade = max(1, math.Ceil(math.Log10(float64(longest)))-a.lowest)
	return a
}

func (a axis) x(at time.Duration) float64 {
	return left + (right-left)*min(1, at.Seconds()/a.length.Seconds())
}

func (a axis) y(latency time.Duration) float64 {
	share := (math.Log10(float64(max(latency, 1))) - a.lowest) / a.decade
	return low - (low-top)*min(1, max(0, share))
}

func (a axis) count(n int) float64 { return bottom - (bottom-high)*float64(n)/float64(a.most) }

// draw fills in everything that is placed.
func (p *plot) draw(r *Report, a axis) {
	p.ticks(a)
	p.requests(r, a)
	p.Ready = steps(r.Pods, a, func(n Pods) int { return n.Ready })
	p.Wanted = steps(r.Pods, a, func(n Pods) int { return n.Wanted })
	for i, m := range r.Marks[:min(len(r.Marks), maxMarks)] {
		mark := plotMark{X: a.x(m.At), Kind: m.Kind, Title: fmt.Sprintf("%s %s after %.2f s", m.What, m.Kind, m.At.Seconds()), Anchor: "start"}
		if i < maxLabels {
			mark.Y, mark.Label = top-8-12*float64(i%3), m.What+" "+m.Kind
		}
		if mark.X > (left+right)/2 {
			mark.Anchor = "end"
		}
		p.Marks = append(p.Marks, mark)
	}
	for _, c := range r.Cold.Pods[:min(len(r.Cold.Pods), maxMarks)] {
		p.Pods = append(p.Pods, plotMark{
			X: a.x(c.At), Y: bottom,
			Title: fmt.Sprintf("%s waited for pod %s, %s at most", plural(c.Requests, "request"), c.Pod, round(c.Longest)),
		})
	}
}

// requests draws what there is of them in each span of time.
func (p *plot) requests(r *Report, a axis) {
	n := min(buckets, max(20, len(r.samples)/perBucket))
	width := a.length / time.Duration(n)
	sorted := make([][]Sample, n)
	for _, s := range r.samples {
		i := min(n-1, int(s.At/max(1, width)))
		sorted[i] = append(sorted[i], s)
	}
	var p50, p95, p99, ordinary, cold, failed strings.Builder
	for i, in := range sorted {
		from := time.Duration(i) * width
		if len(in) == 0 {
			continue
		}
		l := latencies(in)
		x, w := a.x(from), a.x(from+width)-a.x(from)
		for _, q := range []struct {
			path *strings.Builder
			at   float64
		}{{&p50, 0.50}, {&p95, 0.95}, {&p99, 0.99}} {
			point(q.path, x+w/2, a.y(quantile(l, q.at)))
		}
		wrong := dotted(in, a, dots/n, &ordinary, &cold, &failed)
		p.Spans = append(p.Spans, span{x, w, fmt.Sprintf("%.1f to %.1f s: %s, %d failed\np50 %s, p95 %s, p99 %s, max %s%s", from.Seconds(), (from + width).Seconds(),
			plural(len(in), "request"), wrong, round(quantile(l, 0.50)), round(quantile(l, 0.95)), round(quantile(l, 0.99)), round(quantile(l, 1)), podsAt(r.Pods, from+width/2))})
	}
	p.P50, p.P95, p.P99 = p50.String(), p95.String(), p99.String()
	p.Dots, p.ColdDots, p.FailedDots = ordinary.String(), cold.String(), failed.String()
}

// dotted draws a few requests of each kind, the fastest and the slowest among
// them, and counts the failed ones.
func dotted(in []Sample, a axis, most int, ordinary, cold, failed *strings.Builder) (wrong int) {
	kinds := map[*strings.Builder][]Sample{}
	for _, s := range in {
		kind := ordinary
		if !s.OK() {
			kind = failed
			wrong++
		} else if s.Cold {
			kind = cold
		}
		kinds[kind] = append(kinds[kind], s)
	}
	for path, of := range kinds {
		slices.SortFunc(of, func(a, b Sample) int { return int(a.Latency - b.Latency) })
		n := min(most, len(of))
		for i := range n {
			s := of[i*(len(of)-1)/max(1, n-1)]
			fmt.Fprintf(path, "M%.1f %.1fh0", a.x(s.At), a.y(s.Latency))
		}
	}
	return wrong
}

func point(path *strings.Builder, x, y float64) {
	command := "L"
	if path.Len() == 0 {
		command = "M"
	}
	fmt.Fprintf(path, "%s%.1f %.1f", command, x, y)
}

// maxSteps is how many changes of a number of pods are drawn.
const maxSteps = 2000

// steps is a number of pods over time. Of more changes than can be seen, the
// last in each place counts.
func steps(pods []Pods, a axis, of func(Pods) int) string {
	var path strings.Builder
	every := max(1, len(pods)/maxSteps)
	for i, p := range pods {
		if i%every != 0 && i != len(pods)-1 || p.At > a.length {
			continue
		}
		if path.Len() == 0 {
			point(&path, a.x(p.At), a.count(of(p)))
			continue
		}
		fmt.Fprintf(&path, "H%.1fV%.1f", a.x(p.At), a.count(of(p)))
	}
	if path.Len() > 0 {
		fmt.Fprintf(&path, "H%.1f", right)
	}
	return path.String()
}

func podsAt(pods []Pods, at time.Duration) string {
	i, _ := slices.BinarySearchFunc(pods, at, func(p Pods, at time.Duration) int { return int(p.At - at) })
	if i == 0 {
		return ""
	}
	p := pods[i-1]
	return fmt.Sprintf("\npods: %d answer, %d wanted", p.Ready, p.Wanted)
}

// ticks are where the axes have numbers.
func (p *plot) ticks(a axis) {
	every := 1.0
	for i := 0; a.length.Seconds()/every > 12; i++ {
		every *= []float64{2, 2.5, 2}[i%3]
	}
	for s := 0.0; s <= a.length.Seconds(); s += every {
		p.Times = append(p.Times, tick{a.x(time.Duration(s * float64(time.Second))), fmt.Sprintf("%g s", s)})
	}
	between := []float64{1}
	if a.decade <= 2 {
		between = []float64{1, 2, 5} // there is room
	}
	for d := 0.0; d < a.decade; d++ {
		for _, m := range between {
			p.latency(a, m*math.Pow(10, a.lowest+d))
		}
	}
	p.latency(a, math.Pow(10, a.lowest+a.decade))
	step := max(1, (a.most+3)/4)
	for n := 0; n <= a.most; n += step {
		p.Counts = append(p.Counts, tick{a.count(n), fmt.Sprint(n)})
	}
}

func (p *plot) latency(a axis, nanoseconds float64) {
	l := time.Duration(math.Round(nanoseconds))
	p.Latencies = append(p.Latencies, tick{a.y(l), latencyText(l)})
}

// latencyText is a power of ten, or twice or five times one.
func latencyText(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%g s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}
