package controller

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

const (
	// noteLimit is how long the server lets an event's note be. One that is
	// longer it refuses, with the event.
	noteLimit = 1024
	cutOff    = "..."
)

// recorder records events whose note may be as long as a crash's last words:
// what does not fit is cut off.
type recorder struct{ events.EventRecorder }

// Eventf implements events.EventRecorder.
func (r recorder) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	text := fmt.Sprintf(note, args...)
	if len(text) > noteLimit {
		text = strings.ToValidUTF8(text[:noteLimit-len(cutOff)], "") + cutOff
	}
	r.EventRecorder.Eventf(regarding, related, kind, reason, action, "%s", text)
}
