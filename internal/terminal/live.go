package terminal

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

const (
	nameColumns = 11                     // the column of steps and services
	mostColumns = 88                     // durations line up here, on a screen that is wider
	frameTime   = 100 * time.Millisecond // between two pictures of the spinner
)

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// Live draws on a terminal. What has ended is written once and scrolls away;
// below it there is a row for all that still runs, and only these rows are
// ever rewritten, each picture in a single write:
//
//	✓ preflight   Docker 20.10, 2 cores                     40ms
//	⠹ cluster     waiting for the control plane             3.2s   <- rewritten
//	⠹ images      3 of 7                                    1.1s   <- rewritten
//	_                                                              <- the cursor waits here
type Live struct {
	out, progress io.Writer
	width         func() int
	style         style
	closing       chan struct{}
	closed        sync.WaitGroup

	mu    sync.Mutex
	story story
	rows  []*row
	drawn []int // columns of each row now on the screen
	frame int
}

// row is something that runs.
type row struct {
	key, name, text string
	since           time.Time
}

// NewLive returns a Reader for a terminal at progress, whose columns width
// tells; out may be the same terminal or something else. Close must be called:
// it ends the goroutine that turns the spinner.
func NewLive(out, progress io.Writer, width func() int, colour bool) *Live {
	l := &Live{out: out, progress: progress, width: width, style: style(colour), closing: make(chan struct{})}
	l.closed.Go(l.turn)
	return l
}

// turn redraws the rows until Close.
func (l *Live) turn() {
	ticker := time.NewTicker(frameTime)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.mu.Lock()
			l.frame++
			if len(l.rows) > 0 {
				l.write(nil)
			}
			l.mu.Unlock()
		case <-l.closing:
			return
		}
	}
}

// Close leaves the screen with what has ended and nothing that moves.
func (l *Live) Close() {
	close(l.closing)
	l.closed.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = nil
	l.write(nil)
}

// Hear implements Reader.
func (l *Live) Hear(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.story.tell(e)
}

// Show draws e.
func (l *Live) Show(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	said, ok := l.story.tell(e)
	if !ok {
		return
	}
	if said.mark == running {
		l.run(said)
		l.write(nil)
		return
	}
	if !said.goesOn {
		l.rows = slices.DeleteFunc(l.rows, func(r *row) bool { return r.key == said.key })
	}
	if len(said.results) == 0 {
		l.write(l.finished(said))
		return
	}
	// The results may go to the same terminal by another way, so the rows
	// make room for them.
	rows := l.rows
	l.rows = nil
	l.write(append(l.finished(said), ""))
	_, _ = fmt.Fprintf(l.out, "   %s\n", strings.Join(said.results, "\n   "))
	l.rows = rows
	l.write([]string{""})
}

// run adds the row that said speaks of, or changes its text.
func (l *Live) run(said entry) {
	at := slices.IndexFunc(l.rows, func(r *row) bool { return r.key == said.key })
	if at < 0 {
		l.rows = append(l.rows, &row{key: said.key, name: said.name, since: time.Now()})
		at = len(l.rows) - 1
	}
	l.rows[at].text = said.text
}

// finished is an entry as it stays on the screen.
func (l *Live) finished(said entry) []string {
	text := Clean(said.text)
	if said.name != "" {
		text = pad(said.name, nameColumns) + " " + text
	}
	line := " " + l.style.mark(said.mark) + " " + text
	if said.aside != "" {
		line += "  " + l.style.dim(Clean(said.aside))
	}
	if said.took > 0 {
		took := duration(said.took)
		room := min(l.width(), mostColumns) - len(" x ") - cells.StringWidth(text) - len(took)
		line += strings.Repeat(" ", max(room, 2)) + l.style.dim(took)
	}
	block := []string{line}
	for _, detail := range said.details {
		block = append(block, strings.TrimRight("   "+Clean(detail), " "))
	}
	return block
}

// write puts finished lines above the rows and draws the rows anew, in one
// write, so that no half of a picture is ever seen. Each line is overwritten
// before its rest is cleared, so that nothing flickers.
func (l *Live) write(finished []string) {
	columns := max(l.width(), 1)
	var b bytes.Buffer
	if up := l.height(columns); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	for _, line := range finished {
		b.WriteString(line + "\x1b[K\n")
	}
	shrunk := len(l.drawn)
	l.drawn = l.drawn[:0]
	for _, r := range l.rows {
		line, width := l.draw(r, columns)
		b.WriteString(line + "\x1b[K\n")
		l.drawn = append(l.drawn, width)
	}
	if shrunk > 0 {
		b.WriteString("\x1b[J") // rows that have ended
	}
	if b.Len() > 0 {
		_, _ = l.progress.Write(append([]byte("\r"), b.Bytes()...)) // over an echoed ^C
	}
}

// height is how many lines the rows take on the screen: a terminal that has
// become narrower since has wrapped them.
func (l *Live) height(columns int) int {
	height := 0
	for _, width := range l.drawn {
		height += max(1, (width+columns-1)/columns)
	}
	return height
}

// draw is a running row and its width in columns, which is below that of the
// screen: a full line would make some terminals wrap.
func (l *Live) draw(r *row, columns int) (string, int) {
	limit := min(columns, mostColumns+1) - 1
	took := duration(time.Since(r.since).Truncate(frameTime))
	if time.Since(r.since) < time.Second {
		took = "" // it would only flash by
	}
	text := fit(pad(r.name, nameColumns)+" "+Clean(first(r.text)), limit-len(" x ")-len("  ")-len(took))
	width := len(" x ") + cells.StringWidth(text)
	if took == "" {
		return " " + l.style.paint("36", spinner[l.frame%len(spinner)]) + " " + text, width
	}
	gap := max(limit-width-len(took), 2)
	line := " " + l.style.paint("36", spinner[l.frame%len(spinner)]) + " " + text + strings.Repeat(" ", gap) + l.style.dim(took)
	return line, width + gap + len(took)
}
