package embedded

import (
	"encoding/json"
	"os"
	"sync"

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
