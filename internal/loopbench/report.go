package loopbench

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Report is what a measuring found.
type Report struct {
	Service string        `json:"service"`
	Engine  string        `json:"engine"`
	Package string        `json:"package"` // whose file was edited
	Edits   int           `json:"edits"`
	Pause   time.Duration `json:"pause"` // before each turn, in nanoseconds
	// Live is from before a save until the new revision has answered.
	Live   Spread  `json:"live"`
	Phases []Phase `json:"phases"` // in their order
	// GoBuild is a plain `go build` of such an edit, Stripped one with
	// -ldflags="-s -w".
	GoBuild  Spread `json:"goBuild"`
	Stripped Spread `json:"goBuildStripped"`
	// Ratio is the median of Live to that of GoBuild, RatioStripped to that of
	// Stripped.
	Ratio         float64 `json:"ratio"`
	RatioStripped float64 `json:"ratioStripped"`
	// Ways says how often a program was made in which way.
	Ways map[string]int `json:"ways"`
}

// Phase is one part of the way from a save to the answer.
type Phase struct {
	Name string `json:"name"`
	Spread
}

// Spread sums up times, in nanoseconds.
type Spread struct {
	Median time.Duration `json:"median"`
	P95    time.Duration `json:"p95"`
	Worst  time.Duration `json:"worst"`
}

// spread sums up times by nearest rank.
func spread(times []time.Duration) Spread {
	if len(times) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(times))
	rank := func(q float64) time.Duration { return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)] }
	return Spread{rank(0.5), rank(0.95), sorted[len(sorted)-1]}
}

// taken are the times of the turns so far.
type taken struct {
	live, plain, stripped []time.Duration
	names                 []string // of the phases, in their order
	phases                map[string][]time.Duration
	ways                  map[string]int
}

func (t *taken) saw(took time.Duration, way string, phases []event.Phase) {
	t.live = append(t.live, took)
	t.ways[way]++
	for _, p := range phases {
		if _, known := t.phases[p.Name]; !known {
			t.names = append(t.names, p.Name)
		}
		t.phases[p.Name] = append(t.phases[p.Name], p.Duration)
	}
}

// fill puts the sums of what was taken into a report.
func (t *taken) fill(r *Report) {
	r.Edits, r.Ways = len(t.live), t.ways
	r.Live, r.GoBuild, r.Stripped = spread(t.live), spread(t.plain), spread(t.stripped)
	for _, name := range t.names {
		r.Phases = append(r.Phases, Phase{name, spread(t.phases[name])})
	}
	r.Ratio = float64(r.Live.Median) / float64(r.GoBuild.Median)
	r.RatioStripped = float64(r.Live.Median) / float64(r.Stripped.Median)
}

// WriteText writes the report for people.
func (r *Report) WriteText(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d edits of %s on the %s engine, %s apart\n\n", r.Edits, r.Service, r.Engine, r.Pause)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, s Spread) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", name, milliseconds(s.Median), milliseconds(s.P95), milliseconds(s.Worst))
	}
	fmt.Fprintln(table, "ms\tmedian\tp95\tworst\t")
	row("save to live", r.Live)
	for _, p := range r.Phases {
		row(p.Name, p.Spread)
	}
	row("go build", r.GoBuild)
	row("go build -s -w", r.Stripped)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	fmt.Fprintf(&b, "\nA save is live after %.2f of the time of go build, %.2f of that without symbols.\n", r.Ratio, r.RatioStripped)
	for _, way := range slices.Sorted(maps.Keys(r.Ways)) {
		fmt.Fprintf(&b, "%d of %d were made %s.\n", r.Ways[way], r.Edits, way)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.0f", float64(d)/float64(time.Millisecond))
}
