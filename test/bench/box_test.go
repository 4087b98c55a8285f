//go:build e2e

package bench

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
)

const (
	host   = "hello.default.example.com"
	rounds = 3               // of bringing a box up from nothing
	edits  = 20              // of one save each
	pause  = 3 * time.Second // between them, as a person would, so that the pods of the last one are gone
)

// goals are what the engines are to reach.
var goals = map[string]struct{ up, again, edit string }{
	"kind":     {up: "2.5 (1.5 wanted)", edit: "2.5 (1.0 later)"},
	"embedded": {up: "6 s", again: "3 s", edit: "1.5"},
}

func live(e event.Event) bool { return e.Kind == event.RevisionLive }

// BenchmarkUp brings a box up from nothing to the example's first answer, on
// kind in turn with a bare cluster of the same node image, and once more after
// its machine was stopped.
func BenchmarkUp(b *testing.B) {
	var ours, bare, again []time.Duration
	for range rounds {
		bx := box.New(b, "devbox-bench")
		if bx.Engine() == "kind" {
			bare = append(bare, bareCluster(b))
		}
		dir := box.Project(b, "hello")
		start := time.Now()
		up := bx.Up("--port", "18080", dir)
		up.Wait("the first revision", 5*time.Minute, live)
		ours = append(ours, time.Since(start))
		up.Interrupt()
		bx.Stop()
		again = append(again, answering(b, bx, dir))
		if out, code := bx.Run("down"); code != 0 {
			b.Fatalf("devbox down: exit %d\n%s", code, out)
		}
	}
	first := row{
		what:     fmt.Sprintf("`devbox up` from nothing to the first answer, all images and compiled code present, median of %d", rounds),
		measured: round(median(ours)), goal: goals[engine].up,
	}
	b.ReportMetric(median(ours).Seconds(), "s/up")
	if len(bare) > 0 {
		r := ratio(median(ours), median(bare))
		b.ReportMetric(r, "x/kind-create")
		first.against, first.ratio = "`kind create cluster --wait`, same node image: "+round(median(bare)), fmt.Sprintf("%.2f", r)
	}
	b.ReportMetric(median(again).Seconds(), "s/up-again")
	note(b, first, row{
		what:     fmt.Sprintf("the same again after the box's machine was stopped (its container; its process killed), median of %d", rounds),
		measured: round(median(again)), goal: goals[engine].again,
	})
}

// answering times `devbox up` of a box that there is until its service
// answers.
func answering(b *testing.B, bx *box.Box, dir string) time.Duration {
	b.Helper()
	start := time.Now()
	if out, code := bx.Run("up", "--detach", dir); code != 0 {
		b.Fatalf("up again: exit %d\n%s", code, out)
	}
	if status, body, err := bx.Get(host, "/"); err != nil || status != 200 {
		b.Fatalf("after up again: status %d, body %q, error %v", status, body, err)
	}
	return time.Since(start)
}

// BenchmarkBox measures on one box what a day with it is made of.
func BenchmarkBox(b *testing.B) {
	bx := box.New(b, "devbox-bench")
	dir := box.Project(b, "hello")
	up := bx.Up("--port", "18080", dir)
	up.Wait("the first revision", 5*time.Minute, live)
	measureEdits(b, bx, up, dir)
	time.Sleep(20 * time.Second) // idle, and the kubelet's figures are up to date
	if bx.Engine() == "kind" {
		measurePods(b, bx)
	} else {
		measureProcesses(b, bx, up)
	}
	up.Interrupt()
	var took []time.Duration
	for range rounds {
		took = append(took, answering(b, bx, dir))
	}
	b.ReportMetric(median(took).Seconds(), "s/second-up")
	note(b, row{what: fmt.Sprintf("a second `devbox up` of a running box until it answers, median of %d", rounds), measured: round(median(took)), goal: "5 s"})
}

// measureEdits saves edits one after another, each until a client sees its
// answer, in turn with a plain go build of such an edit.
func measureEdits(b *testing.B, bx *box.Box, up *box.Session, dir string) {
	b.Helper()
	plain := box.Project(b, "hello")
	goBuild(b, plain) // both sides have their caches warm
	poll := bx.Poll(host, 20*time.Millisecond)
	var ours, builds []time.Duration
	phases := map[string][]time.Duration{}
	last := `"Hello `
	for i := range edits {
		word := fmt.Sprintf(`"Edit%02d `, i)
		time.Sleep(pause)
		box.Edit(b, filepath.Join(plain, "main.go"), last, strings.Replace(word, "Edit", "Plain", 1))
		builds = append(builds, goBuild(b, plain))
		box.Edit(b, filepath.Join(plain, "main.go"), strings.Replace(word, "Edit", "Plain", 1), word)

		mark := up.Mark()
		start := time.Now()
		box.Edit(b, filepath.Join(dir, "main.go"), last, word)
		at, ok := poll.Await(strings.Trim(word, `"`)+"World!", time.Minute)
		if !ok {
			b.Fatalf("no answer of edit %d in a minute", i)
		}
		ours = append(ours, at.Sub(start))
		for _, p := range up.WaitAfter(mark, "the new revision", time.Minute, live).Phases {
			phases[p.Name] = append(phases[p.Name], p.Duration)
		}
		last = word
	}
	requests, failures, _ := poll.Stop()
	r := ratio(median(ours), median(builds))
	b.ReportMetric(r, "x/go-build")
	b.ReportMetric(float64(len(failures)), "failed-requests")
	note(b, row{
		what:     fmt.Sprintf("save to the new revision's first answer through the gateway, median of %d, %s apart", edits, pause),
		measured: fmt.Sprintf("%s (worst %s)", round(median(ours)), round(slices.Max(ours))), against: "`go build` of the same edit: " + round(median(builds)),
		ratio: fmt.Sprintf("%.2f (worst against median %.2f)", r, ratio(slices.Max(ours), median(builds))), goal: goals[engine].edit,
	}, row{
		what: fmt.Sprintf("failed requests during the %d edits", edits), measured: fmt.Sprint(len(failures)), against: fmt.Sprintf("%d requests, one every 20 ms", requests), goal: "0",
	})
	for _, name := range slices.Sorted(maps.Keys(phases)) {
		note(b, row{what: "of an edit: " + name + ", median", measured: round(median(phases[name]))})
	}
	for _, f := range failures {
		b.Log(f)
	}
}

func goBuild(b *testing.B, dir string) time.Duration {
	b.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "out.bin"), ".")
	cmd.Dir = dir
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return time.Since(start)
}
