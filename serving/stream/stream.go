// Package stream is the one stream between the two pods of the serving stack:
// the activator tells the controller what changes many times a second.
//
//	activator  --POST /stream, one JSON Message a line-->  controller
//
// The API server carries nothing of it. A lost connection is dialled again
// by the activator, which then sends everything it knows first: a Message is
// a statement of what is, never a difference.
package stream

// Path is where the controller takes the stream, by POST.
const Path = "/stream"

// Port is the controller's port for it.
const Port = 8080

// Message is one line of the stream. Exactly one field is set.
type Message struct {
	// Stats are sent once a second for every revision that had a request in
	// that second or has one in flight, and once more, all zero, after that.
	Stats *Stats `json:"stats,omitempty"`
	// Held is sent at once when the activator begins to hold a request for a
	// revision that has no pod to take it, and every second while it does.
	Held *Held `json:"held,omitempty"`
	// Pod is sent when a pod begins or ceases to answer the activator's probe,
	// and when there is news of why it does not.
	Pod *Pod `json:"pod,omitempty"`
	// Takes is sent when the activator takes requests in another way than
	// before.
	Takes *Takes `json:"takes,omitempty"`
}

// Stats are one revision's exact numbers over the last second.
type Stats struct {
	Namespace string `json:"namespace"`
	Revision  string `json:"revision"`
	// Concurrency is the time-weighted average of requests in flight, held
	// ones included.
	Concurrency float64 `json:"concurrency"`
	// Requests is the number of requests that arrived.
	Requests float64 `json:"requests"`
	// InFlight is the number of requests in flight or held right now.
	InFlight int `json:"inFlight"`
}

// Held names a revision that somebody waits for.
type Held struct {
	Namespace string `json:"namespace"`
	Revision  string `json:"revision"`
	// Requests is how many wait.
	Requests int `json:"requests"`
}

// Takes is how an activator takes requests: in the clear, within the mesh's
// mutual TLS, or both.
type Takes struct {
	Clear bool `json:"clear"`
	TLS   bool `json:"tls"`
}

// Pod says whether a pod answers.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Revision  string `json:"revision"`
	Answers   bool   `json:"answers"`
	// Refusal is set of a pod that does not answer because its sidecar does
	// not let the activator in.
	Refusal Refusal `json:"refusal,omitempty"`
}

// Refusal is how a pod's sidecar refuses the activator.
type Refusal string

// The refusals.
const (
	RefusesTLS  Refusal = "tls"  // it takes no mutual TLS
	RefusesPeer Refusal = "peer" // it takes it, and denies the activator
)
