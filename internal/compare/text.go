package compare

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kind-in-a-box/devbox/internal/load"
)

// WriteText writes the report for people: one table, and what it means.
func (r *Report) WriteText(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Title())
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range r.Table() {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	for _, said := range [][]string{r.Notes(), r.Words} {
		b.WriteString("\n")
		for _, text := range said {
			b.WriteString(fold(text, 80) + "\n")
		}
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

// Title says what was compared.
func (r *Report) Title() string {
	return fmt.Sprintf("%s in four ways, %s of turns, in %s", r.Program, plural(r.Rounds, "round"), r.Took.Round(time.Second))
}

// Notes say how the numbers of the table came about, and whether they differ.
func (r *Report) Notes() []string {
	all := []string{
		"* lookup/connect/starttransfer/total as curl counts them, each over a connection of its own; medians of the rounds",
		fmt.Sprintf("** requests a second, %d in flight; the CPU is of them", r.Workers),
	}
	for _, d := range r.Differences {
		all = append(all, d.line())
	}
	return append(all, fmt.Sprintf("A difference is beyond the noise where p, of a two-sided Mann-Whitney U test, is below %v and the effect A is not negligible.", load.Level))
}

// Table has a column for each variant, after one that says what is in a row,
// and begins with their names. A row of a part begins with a space.
func (r *Report) Table() [][]string {
	rows := [][]string{r.row("", func(v *Result) string { return strings.ToUpper(v.Variant) })}
	add := func(label string, cell func(*Result) string) { rows = append(rows, r.row(label, cell)) }
	add("cold start", func(v *Result) string {
		if v.Cold == nil {
			return "-"
		}
		return millis(*v.Cold)
	})
	head := func(label string) { add(label, func(*Result) string { return "" }) }
	head("first requests, ms *")
	for n := range firsts {
		add(fmt.Sprintf("  %d", n+1), func(v *Result) string { return v.curl(n) })
	}
	head("latency at " + r.Rate)
	add("  50th", func(v *Result) string { return millis(v.P50) })
	add("  95th", func(v *Result) string { return millis(v.P95) })
	add("  99th", func(v *Result) string { return millis(v.P99) })
	add("success", func(v *Result) string { return fmt.Sprintf("%.2f%%", 100*v.Success) })
	add("requests/s **", func(v *Result) string { return fmt.Sprintf("%.0f", v.PerSecond) })
	add("pods idle; loaded", func(v *Result) string { return v.pods() })
	head("memory loaded, MiB")
	names := r.containers()
	for _, name := range names {
		add("  "+name, func(v *Result) string { return v.cell(name, func(c Container) string { return mib(c.Memory) }) })
	}
	head("CPU a request, µs")
	for _, name := range names {
		add("  "+name, func(v *Result) string { return v.cell(name, func(c Container) string { return micros(c.CPU) }) })
	}
	add("  together", func(v *Result) string { return micros(v.cpu()) })
	return rows
}

func (r *Report) row(label string, cell func(*Result) string) []string {
	row := []string{label}
	for _, v := range r.Variants {
		row = append(row, cell(v))
	}
	return row
}

// containers are the names of all containers that are on any way, as requests
// come to them.
func (r *Report) containers() []string {
	var names []string
	for _, v := range r.Variants {
		for _, c := range v.Containers {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

// curl are the times of the nth of the first requests.
func (r *Result) curl(n int) string {
	var said []string
	for _, of := range []func(Request) time.Duration{
		func(q Request) time.Duration { return q.Lookup },
		func(q Request) time.Duration { return q.Connect },
		func(q Request) time.Duration { return q.StartTransfer },
		func(q Request) time.Duration { return q.Total },
	} {
		said = append(said, short(r.first(n, of)))
	}
	return strings.Join(said, "/")
}

// pods are how many there were.
func (r *Result) pods() string {
	least, most := 0, 0
	if len(r.Pods) > 0 {
		least, most = slices.Min(r.Pods), slices.Max(r.Pods)
	}
	if least != most {
		return fmt.Sprintf("%d; %d to %d", r.Idle.Pods, least, most)
	}
	return fmt.Sprintf("%d; %d", r.Idle.Pods, most)
}

// cell is what is said of a container, where the variant has it.
func (r *Result) cell(name string, say func(Container) string) string {
	for _, c := range r.Containers {
		if c.Name == name {
			return say(c)
		}
	}
	return "-"
}

// line says whether two differ, for the reader who asks how that is known.
func (d *Difference) line() string {
	verdict := "no difference beyond the noise"
	if d.Beyond {
		verdict = fmt.Sprintf("%s is slower in %.0f of 100 pairs", d.B, 100*d.Effect)
		if d.Effect < 0.5 {
			verdict = fmt.Sprintf("%s is faster in %.0f of 100 pairs", d.B, 100*(1-d.Effect))
		}
	}
	return fmt.Sprintf("%s, %s: %s, median %+.2f ms (p = %.1g, A = %.2f, %s)",
		d.A, d.B, verdict, float64(d.By)/float64(time.Millisecond), d.P, d.Effect, d.Size)
}

func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms >= 100 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// short is milliseconds in as few digits as say something.
func short(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms >= 10 {
		return fmt.Sprintf("%.0f", ms)
	}
	return fmt.Sprintf("%.1f", ms)
}

func mib(bytes uint64) string       { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }
func micros(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond)) }

// fold breaks text into lines.
func fold(text string, columns int) string {
	var b strings.Builder
	at := 0
	for word := range strings.FieldsSeq(text) {
		n := len([]rune(word))
		switch {
		case at == 0:
		case at+1+n > columns:
			b.WriteString("\n")
			at = 0
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
