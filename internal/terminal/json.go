package terminal

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// JSON writes one event a line.
type JSON struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// NewJSON returns a Reader that writes to out.
func NewJSON(out io.Writer) *JSON {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false) // compilers write < and >, and so do we
	return &JSON{enc: enc}
}

// Show writes e. A reader that has gone is no reason to stop what it was told
// of, so an error of the writer is dropped.
func (j *JSON) Show(e event.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.enc.Encode(e)
}

// Hear does nothing: each event says all of itself.
func (j *JSON) Hear(event.Event) {}

// Close has nothing to finish.
func (j *JSON) Close() {}
