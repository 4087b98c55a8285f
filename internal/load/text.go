package load

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// notes are what a reader of the numbers has to know first.
func (r *Report) notes(sockets int) {
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	k := r.Rate
	if !k.OK {
		if k.short() {
			note("The rate was not kept: %s a second were asked for, and %s began; %d requests that were due never did.", number(k.Asked), number(k.Kept), k.Unsent)
		} else {
			note("The rate was kept on the whole, but not evenly: %d of %d requests began more than %s late, %s at worst.", k.Late, r.Vegeta.Requests, LateAfter, round(k.Latest))
		}
		note("Latencies count from when requests began. From when they were due: 50th %s, 95th %s, 99th %s, max %s.",
			round(k.FromDue.P50), round(k.FromDue.P95), round(k.FromDue.P99), round(k.FromDue.Max))
	}
	for _, m := range r.Marks {
		if m.Kind == MarkDeleted {
			note("Service %s was deleted %s after the begin; what came later met no route.", m.What, round(m.At))
		}
	}
	if sockets > 0 {
		note("For %d requests this machine had no socket or port left: a smaller --max-workers, or connections that are kept, need fewer.", sockets)
	}
	if r.Unfinished > 0 {
		note("%d requests were in flight when it was cut short; the numbers do not count them.", r.Unfinished)
	}
}

// WriteText writes the report for people: what must be known first, vegeta's
// own report, and what vegeta cannot know.
func (r *Report) WriteText(out io.Writer) error {
	var b strings.Builder
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "! %s\n", note)
	}
	if err := vegeta.NewTextReporter(r.Vegeta).Report(&b); err != nil {
		return fmt.Errorf("writing vegeta's report: %w", err)
	}
	b.WriteString("\n")
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, line := range [...]struct{ name, what, values string }{
		{"Rate", "[asked, kept, late, latest]", r.rateLine()},
		{"Pods", "[count after]", r.podsLine()},
		{"Cold Starts", "[requests, pods, held]", r.Cold.line()},
		{"Autoscaler", "[formula]", r.formulaLine()},
		{"Revisions", "[when]", r.marksLine()},
		{"Compare", "[test]", r.Compared.line()},
	} {
		if line.values != "" {
			fmt.Fprintf(table, "%s\t%s\t%s\n", line.name, line.what, line.values)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if r.Compared != nil {
		b.WriteString("\n" + r.Compared.table())
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r *Report) rateLine() string {
	asked := "no bound"
	if r.Rate.Asked > 0 {
		asked = number(r.Rate.Asked)
	}
	return fmt.Sprintf("%s, %s, %d, %s", asked, number(r.Rate.Kept), r.Rate.Late, round(r.Rate.Latest))
}

// podsLine is the pods that answered, at every change.
func (r *Report) podsLine() string {
	if len(r.Pods) == 0 {
		return "not known: the box's API server did not say"
	}
	const most = 16
	var said []string
	last, peak := -1, 0
	for _, p := range r.Pods {
		peak = max(peak, p.Ready)
		if p.Ready != last {
			said = append(said, fmt.Sprintf("%d after %.1fs", p.Ready, p.At.Seconds()))
		}
		last = p.Ready
	}
	if len(said) > most {
		said = append(said[:most/2], append([]string{fmt.Sprintf("(%d changes)", len(said)-most)}, said[len(said)-most/2:]...)...)
	}
	return fmt.Sprintf("%s; most %d, wanted at the end %d", strings.Join(said, ", "), peak, r.Pods[len(r.Pods)-1].Wanted)
}

func (c ColdStarts) line() string {
	waited := ""
	if c.Failed > 0 {
		waited = fmt.Sprintf("; %d waited so and failed", c.Failed)
	}
	if c.Waited > 0 {
		waited += fmt.Sprintf("; %d waited for room in a pod that was there", c.Waited)
	}
	if c.Requests == 0 {
		return "none" + waited
	}
	return fmt.Sprintf("%d, %d, %s at most: %s of all latency, %s of theirs%s",
		c.Requests, len(c.Pods), round(c.Longest), percent(c.OfAll), percent(c.OfTheirs), waited)
}

func (r *Report) formulaLine() string {
	f := r.Formula
	switch {
	case f == nil:
		return ""
	case f.Metric == "rps":
		return fmt.Sprintf("%s/s, %s/s to a pod: %s", number(f.Value), number(f.Target), plural(f.Pods, "pod"))
	}
	return fmt.Sprintf("%s/s x %s mean = %.2f in flight, %s to a pod: %s",
		number(r.Rate.Kept), round(r.Vegeta.Latencies.Mean), f.Value, number(f.Target), plural(f.Pods, "pod"))
}

func (r *Report) marksLine() string {
	const most = 8
	var said []string
	for i, m := range r.Marks {
		if i == most {
			said = append(said, fmt.Sprintf("and %d more", len(r.Marks)-most))
			break
		}
		said = append(said, fmt.Sprintf("%s %s after %.1fs", m.What, m.Kind, m.At.Seconds()))
	}
	return strings.Join(said, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", share*100) }

func number(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.2f", f), ".00") }

// round is d in as many digits as vegeta has.
func round(d time.Duration) time.Duration {
	for _, unit := range [...]time.Duration{time.Minute, time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 1000)
		}
	}
	return d
}
