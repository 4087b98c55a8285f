package process

import (
	"encoding/json"
	"os"
	"sync"
	"syscall"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// events writes to the pipe of Spawn, one event a line.
type events struct {
	mu   sync.Mutex
	file *os.File // nil when it is closed
	enc  *json.Encoder
}

// tell drops the event where nobody reads any more: that is no reason to stop.
func (e *events) tell(what event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file != nil {
		_ = e.enc.Encode(what)
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file != nil {
		_ = e.file.Close()
		e.file = nil
	}
}

// Events is the other end of Spawn's pipe: the sink of a box process, and what
// closes it when there is nobody left to tell. Where the process was not
// started by Spawn the sink drops what it is told.
func Events() (sink event.Sink, closeIt func()) {
	f := os.NewFile(eventsFD, "events")
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil, func() {}
	}
	syscall.CloseOnExec(eventsFD)
	pipe := &events{file: f, enc: json.NewEncoder(f)}
	return pipe.tell, pipe.close
}
