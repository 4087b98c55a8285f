// Package terminal shows the event stream to people and programs. Each Reader
// takes the same events and decides nothing but how they look:
//
//	                 /-- Live   a terminal: finished lines above, running ones rewritten below
//	event.Sink --> Show-- Plain  a pipe or a log file: a line an event, with its time
//	                 \-- JSON   a program: a JSON object an event
//
// What a user asked for, such as a service's URL, goes to out; how it comes
// about goes to progress. JSON writes everything to out, because there the
// events are what was asked for.
package terminal

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Reader shows events. Show is an [event.Sink]: it may be called from many
// goroutines. Hear takes an event that is not shown, and to which later ones
// may refer. Close finishes the output and must come after the last Show.
type Reader interface {
	Show(event.Event)
	Hear(event.Event)
	Close()
}

// For returns the Reader for people: live where progress is a terminal that
// can be, plain elsewhere. The variables TERM and NO_COLOR are asked for.
func For(out, progress io.Writer, getenv func(string) string) Reader {
	file, ok := progress.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || getenv("TERM") == "dumb" {
		return NewPlain(out, progress)
	}
	width := func() int {
		columns, _, err := term.GetSize(int(file.Fd()))
		if err != nil || columns <= 0 {
			return 80
		}
		return columns
	}
	return NewLive(out, progress, width, getenv("NO_COLOR") == "")
}
