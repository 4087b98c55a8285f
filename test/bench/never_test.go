//go:build e2e

package bench

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/box"
)

// BenchmarkNeverStale saves 200 edits, or as many as DEVBOX_EDITS says, every
// tenth of them broken in one of three ways, while a client asks 100 times a
// second. No request may fail, and no answer be older than the last "live" line
// before it was asked for.
func BenchmarkNeverStale(b *testing.B) {
	const every, rate = 10, 100
	edits, err := strconv.Atoi(cmp.Or(os.Getenv("DEVBOX_EDITS"), "200"))
	if err != nil {
		b.Fatalf("DEVBOX_EDITS: %v", err)
	}
	bx := box.New(b, "devbox-bench")
	dir := box.Project(b, "hello")
	up := bx.Up("--port", "18080", dir)
	up.Wait("the first revision", 5*time.Minute, live)
	e := &box.Editor{
		Box: bx, Session: up, Service: "hello", Main: filepath.Join(dir, "main.go"), Word: "Hello",
		Kinds: []box.Broken{box.DoesNotCompile, box.Crashes, box.IsDeaf}, Every: every, Rate: rate,
	}
	done := e.Save(b, edits)
	for _, why := range []string{done.Failed.List(), strings.Join(done.Stale, "\n")} {
		if why != "" {
			b.Error(why)
		}
	}
	b.ReportMetric(float64(len(done.Failed)), "failed-requests")
	b.ReportMetric(float64(len(done.Stale)), "stale-answers")
	note(b, row{
		what:     fmt.Sprintf("requests that failed, and answers older than the last `live` line, over %d saves of which %d were broken", done.Saves, done.Broken),
		measured: fmt.Sprintf("%d, %d", len(done.Failed), len(done.Stale)),
		against:  fmt.Sprintf("%d requests, %d a second, worst %s", len(done.Requests), rate, milliseconds(done.Requests.Percentile(100))), goal: "0, 0",
	}, row{
		what: "of such a save: to the return of `devbox wait`, median", measured: fmt.Sprintf("%s (worst %s)", round(median(done.Took)), round(slices.Max(done.Took))),
	})
}
