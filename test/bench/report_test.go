//go:build e2e

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// row is one line of docs/measurements.md.
type row struct {
	what, ours, against, ratio, goal string
}

var rows []row

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && len(rows) > 0 {
		if err := os.WriteFile("../../docs/measurements.md", []byte(report()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func report() string {
	var b strings.Builder
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		commit = []byte("an unknown commit")
	}
	fmt.Fprintf(&b, "# Measurements\n\nWritten by `make bench` on %s at %s, on %d cores (%s/%s, %s). Every ratio is of one run:\nthe reference ran on the same machine, in turn with what it is compared to.\n\n",
		time.Now().Format(time.DateOnly), strings.TrimSpace(string(commit)), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	b.WriteString("| what | measured | against | ratio | goal |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, r.ours, r.against, r.ratio, r.goal)
	}
	return b.String()
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
