// Package event is the one stream of what devbox does. The steps of `devbox
// up` and the watch loop emit typed events; the terminal, `-o json` and the
// timing line are readers of the same stream, and none of them computes
// anything.
//
//	bootstrap --\
//	             >-- Sink --> terminal | plain lines | JSON lines
//	watcher ----/
package event

import "time"

// Sink takes events. It is called from many goroutines and must not block
// for long.
type Sink func(Event)

// Kind says what an Event tells. The values are stable: `-o json` prints them.
type Kind string

// The kinds, in the order a first `devbox up` emits them.
const (
	StepStarted    Kind = "step.started"    // Step began
	StepProgress   Kind = "step.progress"   // Step says what it is doing, in Message
	StepDone       Kind = "step.done"       // Step ended well after Duration; Message says what is there now
	StepFailed     Kind = "step.failed"     // Step ended with Error
	BoxReady       Kind = "box.ready"       // the box is up; URL is its gateway
	Debugging      Kind = "debugging"       // Service is debugged; URL is where debuggers connect, as host and port
	Watching       Kind = "watching"        // the loop watches; Message says what
	Changed        Kind = "change"          // Files changed and concern Service
	BuildStarted   Kind = "build.started"   // a build of Service began
	BuildFailed    Kind = "build.failed"    // Service does not compile: Error has the compiler's words
	BuildDone      Kind = "build.done"      // Image is in the box's registry; Message says what was compiled for it, and by whom
	RevisionNew    Kind = "revision.new"    // Revision of Service was created
	RevisionSlow   Kind = "revision.slow"   // Revision does not answer yet; Message says why, Log has its last lines
	RevisionFailed Kind = "revision.failed" // Revision will not answer; Error says why, Log has its last lines
	RevisionLive   Kind = "revision.live"   // Revision answers through the gateway after Duration, split in Phases
	TrafficMoved   Kind = "traffic.moved"   // most of the traffic of Service is given to Revision, which is not its latest, or is again; Message says how, Hint what undoes it
	ServiceDeleted Kind = "service.deleted" // somebody else deleted Service; Message says so, Hint what makes it again
	ObjectApplied  Kind = "object.applied"  // Object is what its manifest says, and may have to start
	ObjectSlow     Kind = "object.slow"     // Object is not rolled out yet; Message says why, Log has its last lines
	ObjectFailed   Kind = "object.failed"   // Object was refused, or does not start: Error says why, Log has its last lines
	ObjectReady    Kind = "object.ready"    // Object is rolled out after Duration
	ObjectRemoved  Kind = "object.removed"  // Object has left the files, and the box
	ObjectsLive    Kind = "objects.live"    // all objects of the directory Service are as the files say, after Duration, split in Phases
	Warning        Kind = "warning"         // Message is worth a person's attention
	Note           Kind = "note"            // Message is for information
)

// Event is one thing that happened. Fields that do not apply are empty.
type Event struct {
	Time     time.Time     `json:"time"`
	Kind     Kind          `json:"kind"`
	Step     string        `json:"step,omitempty"`
	Service  string        `json:"service,omitempty"`
	Revision string        `json:"revision,omitempty"`
	Object   string        `json:"object,omitempty"` // as in "Deployment hello"
	Message  string        `json:"message,omitempty"`
	Error    string        `json:"error,omitempty"`
	Hint     string        `json:"hint,omitempty"` // what to do next
	Files    []string      `json:"files,omitempty"`
	Image    string        `json:"image,omitempty"`
	URL      string        `json:"url,omitempty"`
	Host     string        `json:"host,omitempty"`
	Browser  string        `json:"browser,omitempty"` // the host by which a browser on this machine finds the service
	Unfound  string        `json:"unfound,omitempty"` // why none does
	Log      []string      `json:"log,omitempty"`
	Duration time.Duration `json:"duration,omitempty"` // in nanoseconds
	Phases   []Phase       `json:"phases,omitempty"`
}

// Phase is one part of an Event's Duration.
type Phase struct {
	Name     string        `json:"name"`
	Duration time.Duration `json:"duration"` // in nanoseconds
}

// Emit stamps e with the time, where it has none, and hands it to the sink.
// A nil sink drops it.
func (s Sink) Emit(e Event) {
	if s == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	s(e)
}
