package box

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/load"
)

// Broken is a way in which a save of the example is no good: what follows the
// beginning of its main function.
type Broken struct{ Name, Code string }

// DoesNotCompile, Crashes and IsDeaf are three: the last never listens.
var (
	DoesNotCompile = Broken{"does not compile", "undefinedName()"}
	Crashes        = Broken{"crashes", `panic("crashed on purpose")`}
	IsDeaf         = Broken{"is deaf", hang}
)

// hang waits for what nobody writes. (Go ends a program that has nothing at all to
// wait for.)
const hang = "r, w, _ := os.Pipe()\n\t_, _ = r.Read(make([]byte, 1))\n\tw.Close()"

// told says whether an event is the word that such a save is no good.
func (b Broken) told(e event.Event) bool {
	switch b {
	case DoesNotCompile:
		return e.Kind == event.BuildFailed
	case Crashes:
		return e.Kind == event.RevisionFailed
	}
	return e.Kind == event.RevisionSlow
}

// Editor saves edits of the example, which greets with a word, while a client asks
// for it many times a second.
type Editor struct {
	*Box
	Session *Session
	Service string
	Main    string   // its main.go
	Word    string   // with which it greets now
	Kinds   []Broken // taken in turn, for each Every-th save
	Every   int
	Rate    int // of the client, a second
}

// Edited is what came of it.
type Edited struct {
	Saves, Broken int
	Requests      load.Results
	Failed        load.Results
	Stale         []string        // answers older than the last "live" before they were asked for
	Took          []time.Duration // of each good save, from the file's to the return of `devbox wait`
}

const (
	greeting = "Edit"
	begin    = "func main() {"
	patience = time.Minute
)

// Save saves n edits, and fails the test where `devbox wait` is wrong about one:
// it is to return 0 when the next answer is of the save, and not before, and with
// another code, and the words, where that will not be.
func (e *Editor) Save(t testing.TB, n int) *Edited {
	t.Helper()
	host := e.Service + ".default.example.com"
	traffic := e.Caller(host, "/").Start(e.Rate)
	done := &Edited{Saves: n}
	var lives []liveEdit
	for i := 1; i <= n; i++ {
		mark := e.Session.Mark()
		if i%e.Every == 0 {
			e.saveBroken(t, mark, e.Kinds[done.Broken%len(e.Kinds)])
			done.Broken++
			continue
		}
		word := fmt.Sprintf("%s%03d", greeting, i)
		start := time.Now()
		Edit(t, e.Main, `"`+e.Word+" ", `"`+word+" ")
		e.Word = word
		out, code := e.Run("wait", e.Service, "--timeout", patience.String())
		done.Took = append(done.Took, time.Since(start))
		if code != 0 {
			t.Fatalf("devbox wait after save %d: exit %d\n%s", i, code, out)
		}
		if status, body, err := e.Get(host, "/"); err != nil || status != 200 || !strings.HasPrefix(body, word+" ") {
			t.Errorf("after devbox wait, save %d is answered with %d %q, %v", i, status, body, err)
		}
		told := e.Session.WaitAfter(mark, "the save to be live", patience, func(e event.Event) bool { return e.Kind == event.RevisionLive })
		lives = append(lives, liveEdit{told.Time, i})
	}
	done.Requests = traffic.Stop()
	done.Failed, done.Stale = done.Requests.Failed(), stale(done.Requests, lives)
	return done
}

// liveEdit is when a save was told to be live.
type liveEdit struct {
	at   time.Time
	edit int
}

// stale says which answers are older than the last save that was live before they
// were asked for. Both are in the order of their times.
func stale(requests load.Results, lives []liveEdit) []string {
	var all []string
	newest := 0
	for _, r := range requests {
		for newest < len(lives) && lives[newest].at.Before(r.At) {
			newest++
		}
		if newest == 0 || !r.OK() {
			continue
		}
		if got, want := editOf(r.Body), lives[newest-1].edit; got < want {
			all = append(all, fmt.Sprintf("%s, asked %s after save %d was live, answers %q", r.At.Format("05.000"), r.At.Sub(lives[newest-1].at), want, r.Body))
		}
	}
	return all
}

// saveBroken saves what is no good, waits until that is told, and takes it back:
// what was good goes on.
func (e *Editor) saveBroken(t testing.TB, mark int, kind Broken) {
	t.Helper()
	Edit(t, e.Main, begin, begin+"\n\t"+kind.Code)
	e.Session.WaitAfter(mark, "that the save "+kind.Name, patience, kind.told)
	if out, code := e.Run("wait", e.Service, "--timeout", "10ms"); code == 0 {
		t.Errorf("devbox wait of a save that %s: exit 0\n%s", kind.Name, out)
	}
	Edit(t, e.Main, begin+"\n\t"+kind.Code, begin)
	if out, code := e.Run("wait", e.Service, "--timeout", patience.String()); code != 0 {
		t.Fatalf("devbox wait after it was taken back that a save %s: exit %d\n%s", kind.Name, code, out)
	}
}

// editOf is the number of the save that an answer is of, 0 for one of before.
func editOf(body string) int {
	word, _, _ := strings.Cut(body, " ")
	n, err := strconv.Atoi(strings.TrimPrefix(word, greeting))
	if err != nil {
		return 0
	}
	return n
}
