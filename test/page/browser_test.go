//go:build e2e

package page

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// soon is for what takes a second on a quiet machine.
const soon = 90 * time.Second

// browser is one tab of a Chromium of the test's own.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the page said on its console
}

// chromium is the program, or the test is skipped.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("DEVBOX_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const lacks = "there is no Chromium on this machine: `apt-get install chromium`, or set DEVBOX_CHROMIUM"
	if os.Getenv("CI") != "" || os.Getenv("DEVBOX_CHROMIUM") != "" {
		t.Fatal(lacks)
	}
	t.Skip(lacks)
	return ""
}

// open starts a Chromium that asks nobody but the page.
func open(t *testing.T, program string) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU)
	for _, flag := range []string{"disable-quic", "disable-component-update", "disable-sync", "disable-background-networking", "no-first-run"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1440, 900)); err != nil { // starts it, for as long as ctx lasts
		t.Fatal(err)
	}
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.problems = append(b.problems, fmt.Sprintf("%s (%s:%d)", m, m.URL, m.Line))
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() { stop(); <-listened })
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, awaited))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// awaited waits for a promise.
func awaited(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }

// await waits until an expression is true in the page.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(soon); !ask[bool](b, "Boolean("+expression+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.shot("failed")
			b.t.Fatalf("no sign of %s in %s; the page says:\n%s", what, soon, ask[string](b, "document.body.innerText"))
		}
	}
}

// says waits until an element's text has words in it.
func (b *browser) says(selector, words string) {
	b.t.Helper()
	b.await(fmt.Sprintf("%q in %s", words, selector), fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, words))
}

// press presses the button that says so, as a person does: it must be there,
// and not be hidden.
func (b *browser) press(words string) {
	b.t.Helper()
	find := fmt.Sprintf("[...document.querySelectorAll('dialog[open] button, main button')].find(b => b.textContent === %q && b.checkVisibility() && !b.disabled)", words)
	b.await("the button "+words, find)
	ask[bool](b, "("+find+".click(), true)")
}

// shot keeps a picture of the page as it is, in both themes, wide and narrow.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("DEVBOX_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme)
		for form, size := range map[string][2]int64{"wide": {1440, 900}, "narrow": {400, 860}} {
			b.do(chromedp.EmulateViewport(size[0], size[1]), chromedp.Sleep(300*time.Millisecond)) // for the charts to be drawn anew
			picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				b.t.Fatal(err)
			}
			path := filepath.Join(dir, strings.Join([]string{name, theme, form}, "-")+".png")
			if err := os.WriteFile(path, picture, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.theme("light")
	b.do(chromedp.EmulateViewport(1440, 900))
}

func (b *browser) theme(theme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// heap is what the page's script holds after a collection, in MiB.
func (b *browser) heap() float64 {
	b.t.Helper()
	for range 2 {
		if _, err := chromedp.Call(b.ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			b.t.Fatal(err)
		}
	}
	use, err := chromedp.Call(b.ctx, runtime.GetHeapUsage, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	return (use.UsedSize + use.EmbedderHeapUsedSize) / (1 << 20)
}

// quiet fails where the page has complained since the last time.
func (b *browser) quiet(but ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		expected := false
		for _, words := range but {
			expected = expected || strings.Contains(problem, words)
		}
		if !expected {
			b.t.Errorf("the console says: %s", problem)
		}
	}
	b.problems = nil
}

func navigate(url string) chromedp.Action[chromedp.Void] { return chromedp.Navigate(url) }

func keys(text string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(text) }
