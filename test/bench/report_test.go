//go:build e2e

package bench

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// engine is the one that is measured.
var engine = cmp.Or(os.Getenv("DEVBOX_ENGINE"), "kind")

// row is one line of docs/measurements.md.
type row struct {
	what, measured, against, ratio, goal string
	by                                   string // the benchmark
	at                                   string // the commit and the day
}

func (r row) cells() []string {
	return []string{r.what, r.measured, r.against, r.ratio, r.goal, r.by, r.at}
}

// measured are the rows of this run, by their section: an engine, or parts.
var measured = map[string][]row{}

const parts = "parts, with no box around them"

// note keeps rows of the engine for the report.
func note(b *testing.B, rows ...row) { noteIn(b, engine, rows...) }

func noteIn(b *testing.B, section string, rows ...row) {
	for _, r := range rows {
		r.by, r.at = "`"+strings.TrimPrefix(b.Name(), "Benchmark")+"`", commit()+", "+time.Now().Format(time.DateOnly)
		measured[section] = append(measured[section], r)
	}
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "an unknown commit"
	}
	return strings.TrimSpace(string(out))
}

const report = "../../docs/measurements.md"

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && len(measured) > 0 {
		if err := write(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// write writes the report: what was measured now, and what stands there of
// the other engine and of benchmarks that did not run.
func write() error {
	before, err := os.ReadFile(report)
	if err != nil {
		return err
	}
	rows := read(string(before))
	for section, now := range measured {
		kept := slices.DeleteFunc(rows[section], func(old row) bool {
			return slices.ContainsFunc(now, func(r row) bool { return r.by == old.by })
		})
		rows[section] = append(kept, now...)
		slices.SortStableFunc(rows[section], func(a, b row) int { return -cmp.Compare(a.by, b.by) }) // Up before Box
	}

	var out strings.Builder
	fmt.Fprintf(&out, head, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, section := range []string{"kind", "embedded", parts} {
		out.WriteString("\n## " + section + "\n\n| what | measured | against | ratio | goal | by | at |\n|---|---|---|---|---|---|---|\n")
		for _, r := range rows[section] {
			out.WriteString("| " + strings.Join(r.cells(), " | ") + " |\n")
		}
	}
	return os.WriteFile(report, []byte(out.String()), 0o644)
}

const head = "# Measurements\n\n" +
	"Written by `make bench`, which measures the engine that DEVBOX_ENGINE names, kind without it, and keeps the rows of the\n" +
	"other; last on %d cores (%s/%s, %s). Every ratio is of one run: the reference ran on the same machine, in turn\n" +
	"with what it is compared to. After `make build` (and with `DEVBOX_IMAGES=$(make -s lab)` for kind) the rows of one\n" +
	"benchmark, Box say, are measured by\n\n" +
	"    DEVBOX_ENGINE=embedded go test -tags e2e -run '^$' -bench Box -benchtime 1x ./test/bench\n" +
	"\n" +
	"Figures that a test or a script prints, and that are no ratio to anything, stand with what they are about:\n" +
	"\n" +
	"| what | where |\n" +
	"|---|---|\n" +
	"| 50 requests a second for 300 s from zero, on kind: report, plot, pods over time | [story.md](story.md#five-minutes-of-load) |\n" +
	"| a cold request, hop by hop, in Zipkin | [story.md](story.md#where-the-cold-request-was) |\n" +
	"| every query of every panel, with what it found; memory of Prometheus and Zipkin; `up` with and without them | [observability.md](observability.md#dashboards) |\n" +
	"| what a span costs a request | [tracing.md](tracing.md#what-it-costs) |\n" +
	"| the page: first paint, live data, and an hour open under load | [page.md](page.md#what-it-costs) |\n" +
	"| the embedded engine after 100 edits, and after 100 times from zero and back | [embedded.md](embedded.md#small-enough) |\n"

// read returns the rows of a report by section.
func read(report string) map[string][]row {
	rows, in := map[string][]row{}, ""
	for line := range strings.Lines(report) {
		line = strings.TrimSpace(line)
		if section, ok := strings.CutPrefix(line, "## "); ok {
			in = section
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != len(row{}.cells()) || strings.HasPrefix(line, "| what") || strings.HasPrefix(line, "|--") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows[in] = append(rows[in], row{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]})
	}
	return rows
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func round(d time.Duration) string {
	if d > 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
