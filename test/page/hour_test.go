//go:build e2e

package page

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/chromedp"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
)

// TestHour leaves a page open, for as long as DEVBOX_PAGE_OPEN says, over a
// service that gets ten requests a second and an edit every ten minutes, and
// looks every minute whether the page or its server grow. Without the variable
// it is skipped: an hour is for `make hour`.
func TestHour(t *testing.T) {
	given := os.Getenv("DEVBOX_PAGE_OPEN")
	if given == "" {
		t.Skip("DEVBOX_PAGE_OPEN does not say for how long the page is to be open")
	}
	long, err := time.ParseDuration(given)
	if err != nil {
		t.Fatalf("DEVBOX_PAGE_OPEN: %v", err)
	}
	b := box.Embedded(t, "devbox-hour")
	dir := box.Project(t, "hello")
	d := &day{Box: b, main: filepath.Join(dir, "main.go"), dir: dir}
	d.up = b.Up("--engine", "embedded", "--port", hourPort, dir)
	d.live("hello-00001", 0)
	d.page = serve(t, b)
	d.browser = open(t, chromium(t))
	d.do(navigate(d.page.url))
	d.says("#live", "live")
	compareHour(t, d.hour(long))
	d.quiet()
}

const hourPort = "18087"

// what a page and its server hold at a time.
type held struct {
	after           time.Duration
	edits           int     // saved so far
	heap            float64 // MiB, after a collection
	nodes, elements int64   // nodes are those that no document has, too
	server, box     float64 // MiB resident
}

func (h held) String() string {
	return fmt.Sprintf("%4.0f min  %d edits  script %.2f MiB  %d nodes  %d elements  devbox ui %.0f MiB  box %.0f MiB",
		h.after.Minutes(), h.edits, h.heap, h.nodes, h.elements, h.server, h.box)
}

// hour is what was held each minute.
func (d *day) hour(long time.Duration) []held {
	began, word, edits := time.Now(), "Hello ", 0
	all := []held{d.holds(began, 0)}
	for minute := 1; time.Since(began) < long; minute++ {
		if out, code := d.Run("load", "hello", "--rate", "10/s", "--duration", "60s"); code != 0 {
			d.t.Fatalf("devbox load: exit %d\n%s", code, out)
		}
		if minute%10 == 5 {
			next, mark := fmt.Sprintf("Hello in minute %d, ", minute), d.up.Mark()
			box.Edit(d.t, d.main, word, next)
			d.up.WaitAfter(mark, next, soon, func(e event.Event) bool { return e.Kind == event.RevisionLive })
			word, edits = next, edits+1
		}
		all = append(all, d.holds(began, edits))
	}
	return all
}

func (d *day) holds(began time.Time, edits int) held {
	d.t.Helper()
	heap := d.heap()
	counters, err := chromedp.Call(d.ctx, memory.GetDOMCounters, cdp.Empty{})
	if err != nil {
		d.t.Fatal(err)
	}
	h := held{
		after: time.Since(began), edits: edits, heap: heap, nodes: counters.Nodes,
		elements: ask[int64](d.browser, "document.querySelectorAll('*').length"),
		server:   float64(box.MemoryOf(d.t, d.page.pid).Resident) / (1 << 20),
		box:      float64(box.MemoryOf(d.t, d.PID()).Resident) / (1 << 20),
	}
	d.t.Log(h)
	return h
}

// compareHour holds the last five minutes against five in which the page had
// all that time brings: its charts are full after ten minutes, and the history
// behind them after a quarter of an hour. Each edit in between brings a line and
// a revision, up to the 60 lines and 12 revisions that are shown.
func compareHour(t *testing.T, all []held) {
	t.Helper()
	const full, over = 16, 5
	if len(all) < full+2*over {
		t.Logf("%d minutes are too few to compare", len(all))
		return
	}
	early, late := least(all[full:full+over]), least(all[len(all)-over:])
	edits := float64(late.edits - early.edits)
	for _, of := range []struct {
		what                   string
		early, late            float64
		growth, growthByAnEdit float64
	}{
		{"MiB of script", early.heap, late.heap, 0.1, 0.12},
		{"nodes", float64(early.nodes), float64(late.nodes), 20, 70},
		{"elements", float64(early.elements), float64(late.elements), 10, 45},
		{"MiB of devbox ui", early.server, late.server, 16, 0},
	} {
		t.Logf("%s: %.2f after %d minutes, %.2f at the end, %.0f edits later", of.what, of.early, full, of.late, edits)
		if most := of.early + of.growth + edits*of.growthByAnEdit; of.late > most {
			t.Errorf("%s: want at most %.2f", of.what, most)
		}
	}
}

// least of each figure, since what comes and goes is no growth, and all edits.
func least(some []held) held {
	l := some[0]
	for _, h := range some[1:] {
		l.edits = max(l.edits, h.edits)
		l.heap, l.server, l.box = min(l.heap, h.heap), min(l.server, h.server), min(l.box, h.box)
		l.nodes, l.elements = min(l.nodes, h.nodes), min(l.elements, h.elements)
	}
	return l
}
