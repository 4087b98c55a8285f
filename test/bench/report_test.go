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

// measured are the rows of this run.
var measured []row

// note keeps rows for the report.
func note(b *testing.B, rows ...row) {
	for _, r := range rows {
		r.by, r.at = "`"+strings.TrimPrefix(b.Name(), "Benchmark")+"`", commit()+", "+time.Now().Format(time.DateOnly)
		measured = append(measured, r)
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
	kept := slices.DeleteFunc(rows[engine], func(old row) bool {
		return slices.ContainsFunc(measured, func(r row) bool { return r.by == old.by })
	})
	rows[engine] = append(kept, measured...)
	slices.SortStableFunc(rows[engine], func(a, b row) int { return -cmp.Compare(a.by, b.by) }) // Up before Box

	var out strings.Builder
	fmt.Fprintf(&out, head, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, engine := range []string{"kind", "embedded"} {
		out.WriteString("\n## " + engine + "\n\n| what | measured | against | ratio | goal | by | at |\n|---|---|---|---|---|---|---|\n")
		for _, r := range rows[engine] {
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
	"    DEVBOX_ENGINE=embedded go test -tags e2e -run '^$' -bench Box -benchtime 1x ./test/bench\n"

// read returns the rows of a report by engine.
func read(report string) map[string][]row {
	rows, engine := map[string][]row{}, ""
	for line := range strings.Lines(report) {
		line = strings.TrimSpace(line)
		if section, ok := strings.CutPrefix(line, "## "); ok {
			engine = section
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != len(row{}.cells()) || strings.HasPrefix(line, "| what") || strings.HasPrefix(line, "|--") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows[engine] = append(rows[engine], row{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]})
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
