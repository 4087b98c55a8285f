package history

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/kind-in-a-box/devbox/internal/event"
)

const (
	megabytes = 2    // of the file, before it is begun anew; one older file stays
	waiting   = 1024 // events that may wait for the disk; more are dropped
	goodbye   = time.Second
)

// Recorder writes events to a file. Its goroutine ends with Close.
type Recorder struct {
	path   string
	events chan event.Event
	ended  chan struct{}
}

// Record returns a recorder that appends to the file of that name. The folder
// is the box's, and is not made for the events' sake: as long as it is not
// there they wait, and those of a box that never comes about are dropped.
func Record(path string) *Recorder {
	r := &Recorder{path: path, events: make(chan event.Event, waiting), ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.run()
	}()
	return r
}

// Show takes an event and never blocks: what a stuck disk leaves no room for
// is lost. It is an [event.Sink], and must not be called after Close.
func (r *Recorder) Show(e event.Event) {
	select {
	case r.events <- e:
	default:
	}
}

// Close returns when the events are written, or after a second.
func (r *Recorder) Close() {
	close(r.events)
	select {
	case <-r.ended:
	case <-time.After(goodbye):
	}
}

func (r *Recorder) run() {
	file := &lumberjack.Logger{Filename: r.path, MaxSize: megabytes, MaxBackups: 1}
	defer func() { _ = file.Close() }() // nobody is left to tell
	var early [][]byte
	for e := range r.events {
		line, err := json.Marshal(e)
		if err != nil {
			continue // an event is plain data; there is none that cannot be written
		}
		early = append(early, append(line, '\n'))
		if _, err := os.Stat(filepath.Dir(r.path)); err != nil {
			early = early[max(0, len(early)-waiting):]
			continue
		}
		for _, line := range early {
			r.write(file, line)
		}
		early = nil
	}
}

// write writes a line whole, on a line of its own also where another session
// was killed within one. An event that cannot be kept is lost: the session is
// not there for its history.
func (r *Recorder) write(file *lumberjack.Logger, line []byte) {
	if !endsLine(r.path) {
		line = append([]byte{'\n'}, line...)
	}
	_, _ = file.Write(line)
}

// endsLine says whether the file is empty, not there, or ends with a whole line.
func endsLine(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return true
	}
	last := []byte{0}
	_, err = f.ReadAt(last, info.Size()-1)
	return err != nil || last[0] == '\n'
}
