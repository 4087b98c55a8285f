//go:build e2e

package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
)

const (
	host = "hello.default.example.com"
	port = "18086"
)

// TestPage is a page's day, from an idle box to one that has gone and come
// back. Each story goes on where the one before it ended.
func TestPage(t *testing.T) {
	program := chromium(t)
	b := box.Embedded(t, "devbox-page")
	dir := box.Project(t, "hello")
	box.Edit(t, filepath.Join(dir, "service.yaml"), "  template:\n", "  template:\n    metadata:\n      annotations:\n        autoscaling.knative.dev/window: 6s\n")
	d := &day{Box: b, main: filepath.Join(dir, "main.go"), dir: dir}
	d.up = b.Up("--engine", "embedded", "--port", port, dir)
	d.live("hello-00001", 0)
	d.page = serve(t, b)
	d.browser = open(t, program)
	for _, story := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"opens, and is live", d.opens},
		{"at rest", d.rest},
		{"under load", d.load},
		{"logs", d.logs},
		{"a request and its way", d.request},
		{"with the keyboard", d.keyboard},
		{"a revision is held, and let go", d.hold},
		{"a split that the API server refuses", d.refusal},
		{"an error of the compiler", d.buildError},
		{"a cold start", d.coldStart},
		{"the panels have their numbers", d.panels},
		{"another page may do nothing", d.strangers},
		{"the box goes away, and comes back", d.awayAndBack},
		{"the page's server ends", d.ends},
	} {
		d.t = t
		if !t.Run(story.name, func(t *testing.T) { d.t = t; story.tell(t) }) {
			t.FailNow()
		}
	}
}

// day is what the stories hand to each other.
type day struct {
	*box.Box
	*browser
	up        *box.Session
	page      *server
	dir, main string
}

// live waits until a revision is, after a mark.
func (d *day) live(revision string, mark int) {
	d.up.WaitAfter(mark, revision+" live", soon, func(e event.Event) bool { return e.Kind == event.RevisionLive && e.Revision == revision })
}

// server is a running `devbox ui`.
type server struct {
	url string
	pid int
	end func() int // does what Ctrl-C does, and returns the exit code
}

func serve(t *testing.T, b *box.Box) *server {
	t.Helper()
	cmd := b.Command(t.Context(), "ui", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said struct{ URL string }
	if err := json.NewDecoder(out).Decode(&said); err != nil {
		t.Fatalf("reading what devbox ui printed: %v", err)
	}
	ended := false
	end := func() int {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended by itself
			_ = cmd.Wait()                         // the exit code says it
		}
		return cmd.ProcessState.ExitCode()
	}
	t.Cleanup(func() { end() })
	return &server{said.URL, cmd.Process.Pid, end}
}

func (d *day) opens(t *testing.T) {
	d.do(navigate(d.page.url))
	d.says("#live", "live")
	d.says(".service", "hello-00001 takes all traffic")
	d.await("numbers", "performance.getEntriesByName('tick').length")
	t.Logf("first paint %v ms, services %v ms, numbers %v ms after the page was asked for",
		ask[float64](d.browser, "Math.round(performance.getEntriesByName('first-contentful-paint')[0].startTime)"),
		ask[float64](d.browser, "Math.round(performance.getEntriesByName('services')[0].startTime)"),
		ask[float64](d.browser, "Math.round(performance.getEntriesByName('tick')[0].startTime)"))
	if address := ask[string](d.browser, "location.href"); strings.Contains(address, "token") {
		t.Errorf("the token stays in the address: %s", address)
	}
	d.quiet()
}

func (d *day) rest(*testing.T) {
	d.says("#edits", "hello-00001")
	d.says(".revisions", "hello-00001")
	d.shot("rest")
}

func (d *day) load(t *testing.T) {
	before := d.heap()
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Caller(host, "/").Saturate(4, 20*time.Second)
	}()
	d.await("a rate", "parseFloat(document.querySelector('.service .chart .key b').textContent) > 1")
	d.says(".service .why", "hello-00001 wants")
	d.await("a latency", "/ms/.test(document.querySelectorAll('.service .chart')[1].innerText)")
	<-done
	d.shot("load")
	t.Logf("the page's heap was %.1f MiB before the load, and is %.1f MiB after it", before, d.heap())
	d.quiet()
}

func (d *day) coldStart(t *testing.T) {
	d.Zero(t, "hello")
	d.says(".revisions", "asleep")
	d.press("Send a request")
	d.press("Send")
	d.says("dialog", "from zero pods")
	d.await("the picture", "document.querySelector('dialog img').naturalWidth > 100")
	d.shot("cold-request")
	d.press("Close")
	d.says("#cold", "sandbox")
	d.says("#cold", "hello-00002")
	d.shot("cold")
	d.quiet()
}

func (d *day) panels(t *testing.T) {
	d.do(keys("2"))
	for _, dashboard := range []string{"Revision HTTP Requests", "Scaling Debugging", "Edit Loop", "Cold Starts"} {
		d.press(dashboard)
		d.await("the panels of "+dashboard, fmt.Sprintf("document.querySelector('#dashboards [aria-pressed=true]').textContent === %q && document.querySelector('#rows .panel')", dashboard))
		d.await("values of "+dashboard, "[...document.querySelectorAll('#rows .value:not(.none), #rows .key b')].some(v => /[1-9]/.test(v.innerText))")
		d.shot("panels-" + strings.ToLower(strings.ReplaceAll(dashboard, " ", "-")))
	}
	d.press("Scaling Debugging")
	d.says("#rows", "needs Prometheus")
	d.do(keys("1"))
	d.quiet()
}

func (d *day) logs(*testing.T) {
	d.do(keys("3"))
	d.says("#lines", "greeting World on port")
	d.says("#lines", "hello-00001")
	d.shot("logs")
	d.do(keys("1"))
	d.quiet()
}

func (d *day) request(*testing.T) {
	d.press("Send a request")
	d.press("Send")
	d.says("dialog", "200 by hello-00001")
	d.await("the picture", "document.querySelector('dialog img').naturalWidth > 100")
	d.shot("request")
	d.press("Close")
	d.await("the dialog's end", "!document.querySelector('dialog')")
	d.quiet()
}

func (d *day) keyboard(t *testing.T) {
	ask[bool](d.browser, "(document.activeElement.blur(), true)")
	seen := map[string]bool{}
	for range 20 {
		d.do(keys("\t"))
		seen[ask[string](d.browser, "document.activeElement.textContent.trim()")] = true
		if !ask[bool](d.browser, "document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'") {
			t.Errorf("%q has the focus, and does not show it", ask[string](d.browser, "document.activeElement.textContent"))
		}
	}
	for _, reached := range []string{"Overview", "Panels", "Logs", "Send a request", "Split traffic", "Hold"} {
		if !seen[reached] {
			t.Errorf("Tab does not lead to %s", reached)
		}
	}
	ask[bool](d.browser, "([...document.querySelectorAll('button')].find(b => b.textContent === 'Split traffic').focus(), true)")
	d.do(keys("\r"))
	d.await("the dialog", "document.querySelector('dialog[open]')?.contains(document.activeElement)")
	d.do(keys("\x1b"))
	d.await("its end", "!document.querySelector('dialog') && document.activeElement.textContent === 'Split traffic'")
}

func (d *day) hold(*testing.T) {
	d.press("Hold")
	d.says("dialog", "All traffic of hello goes to hello-00001, and stays there")
	d.shot("confirm")
	d.press("Change it")
	d.says(".pinned", "Traffic is held at hello-00001")
	mark := d.up.Mark()
	box.Edit(d.t, d.main, "Hello %s!", "Good day %s!")
	d.says(".revisions", "hello-00002")
	d.await("it to be ready", "[...document.querySelectorAll('.revisions tr')].some(r => r.innerText.includes('hello-00002') && /answers|asleep/.test(r.innerText))")
	if _, body, err := d.Get(host, "/"); err != nil || !strings.HasPrefix(body, "Hello") {
		d.t.Errorf("while it is held it answers %q, %v", body, err)
	}
	d.shot("held")
	d.press("Follow the latest again")
	d.press("Change it")
	d.says(".state", "hello-00002 takes all traffic")
	d.live("hello-00002", mark)
	d.says("#edits .live", "hello-00002")
	d.press("Roll back")
	d.press("Change it")
	d.says(".state", "hello-00001 takes all traffic")
	d.press("Follow the latest again")
	d.press("Change it")
	d.says(".state", "hello-00002 takes all traffic")
	d.quiet()
}

func (d *day) refusal(*testing.T) {
	d.press("Split traffic")
	ask[bool](d.browser, "(document.querySelector('dialog input').value = 90, true)")
	d.press("Split it")
	d.says("dialog .error", "percents must sum to 100")
	d.shot("refused")
	d.press("Cancel")
	d.quiet("422") // the browser tells of the answer itself
}

func (d *day) buildError(*testing.T) {
	box.Edit(d.t, d.main, "Good day %s!", "Good day %s!\", nobody, \"")
	d.says("#edits .bad", "does not compile")
	d.says("#edits .bad pre", "undefined: nobody")
	d.says(".state", "hello-00002 takes all traffic")
	d.shot("build-error")
	box.Edit(d.t, d.main, "\", nobody, \"", "")
	d.await("its repair", "document.querySelector('#edits li').className.includes('live')")
	d.quiet()
}

// strangers has a page of another origin, open in the same browser, try what a
// stranger's script can.
func (d *day) strangers(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>a stranger</title>")
	}))
	defer other.Close()
	ours, _, _ := strings.Cut(d.page.url, "/#")
	stranger := open(t, chromium(t))
	stranger.do(navigate(other.URL))
	for title, script := range map[string]string{
		"reads":               `fetch(%q + '/api/dashboards')`,
		"changes":             `fetch(%q + '/api/services/default/hello/traffic', {method: 'PUT', headers: {'Devbox-Token': 'x'}, body: '{}'})`,
		"posts without words": `fetch(%q + '/api/services/default/hello/requests', {method: 'POST', mode: 'no-cors', body: '{}'}).then(r => r.type === 'opaque' ? Promise.reject() : r)`,
		"loads its script":    `new Promise((ok, no) => { const s = document.createElement('script'); s.src = %q + '/main.js'; s.onload = ok; s.onerror = no; document.head.append(s) })`,
	} {
		if got := ask[string](stranger, fmt.Sprintf(script, ours)+".then(() => 'done', () => 'refused')"); got != "refused" {
			t.Errorf("a stranger's page %s: %s", title, got)
		}
	}
	if framed := ask[bool](stranger, fmt.Sprintf(`new Promise(is => { const f = document.createElement('iframe'); f.src = %q; f.onload = () => { try { is(f.contentDocument !== null) } catch { is(false) } }; document.body.append(f) })`, ours)); framed {
		t.Error("a stranger's page frames this one")
	}
	stranger.do(navigate(ours + "/"))
	stranger.says("#banner", "the token in it is missing")
}

func (d *day) awayAndBack(*testing.T) {
	d.Stop()
	d.says("#banner", "The box is away")
	d.says("#live", "away")
	d.await("no more buttons", "[...document.querySelectorAll('.service button')].every(b => b.disabled)")
	d.shot("away")
	d.up.Exit(soon)
	d.up = d.Up("--engine", "embedded", d.dir)
	d.says("#live", "live")
	d.await("no banner", "document.querySelector('#banner').hidden")
	d.says(".state", "takes all traffic")
	if _, body, err := d.Get(host, "/"); err != nil || !strings.HasPrefix(body, "Good day") {
		d.t.Errorf("it answers %q, %v", body, err)
	}
	d.await("new numbers", "parseFloat(document.querySelector('.service .chart .key b').textContent) >= 0")
	d.shot("back")
	d.quiet("503", "Failed to load") // what it asked for while the box was away
}

func (d *day) ends(t *testing.T) {
	if code := d.page.end(); code != 0 {
		t.Errorf("Ctrl-C ended devbox ui with %d", code)
	}
	d.says("#banner", "does not answer")
	out, code := d.Run("events", "-o", "json")
	if code != 0 || !bytes.Contains([]byte(out), []byte(`"kind":"build.failed"`)) || !strings.Contains(out, "undefined: nobody") {
		t.Errorf("devbox events: exit %d\n%s", code, out)
	}
}
