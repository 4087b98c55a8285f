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

import "github.com/kind-in-a-box/devbox/internal/event"

// Reader shows events. Show is an [event.Sink]: it may be called from many
// goroutines. Hear takes an event that is not shown, and to which later ones
// may refer. Close finishes the output and must come after the last Show.
type Reader interface {
	Show(event.Event)
	Hear(event.Event)
	Close()
}
