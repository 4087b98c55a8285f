package way

import "time"

// Way is one request, and every hop that it passed as far as it was seen.
// Durations are in nanoseconds in JSON.
type Way struct {
	Service   string `json:"service"`
	Namespace string `json:"namespace"`
	Method    string `json:"method"`
	Host      string `json:"host"`
	Path      string `json:"path"` // without the query, which may be secret

	Status  int      `json:"status"`            // of the answer
	Pod     string   `json:"pod,omitempty"`     // which answered, where one is known to
	Answer  []string `json:"answer"`            // names of the answer's headers, sorted
	Message string   `json:"message,omitempty"` // the begin of an answer of 400 and above, which may be any text

	Steps  []Step        `json:"steps"`  // in the activator; none where it did not tell
	Took   time.Duration `json:"took"`   // all steps, by the activator's clock
	Client time.Duration `json:"client"` // until the answer began, by the client's clock

	Hops  []Hop    `json:"hops"`            // in the order in which the request passed
	Notes []string `json:"notes,omitempty"` // what is to be known of this picture, in sentences
}

// Names of hops. Any other is a hop's own word.
const (
	Client     = "client"
	Gateway    = "gateway"
	Activator  = "activator"
	Sidecar    = "istio-proxy"
	QueueProxy = "queue-proxy"
	Container  = "container"
	Nameless   = "unknown"
)

// Seen is how a hop is known.
type Seen string

// How a hop is known.
const (
	Reported Seen = "reported" // by its own word
	Observed Seen = "observed" // by what its neighbours saw
	Unknown  Seen = "unknown"  // it did not report: what is there of it is its neighbours' word
)

// Hop is one station of the way. An empty field is one that is not known.
type Hop struct {
	Name     string `json:"name"`
	Seen     Seen   `json:"seen"`
	Pod      string `json:"pod,omitempty"`
	Revision string `json:"revision,omitempty"`

	Peer     string   `json:"peer,omitempty"`     // the address that the request came from
	Listen   string   `json:"listen,omitempty"`   // the address that it came to
	TLS      *Session `json:"tls,omitempty"`      // the session that it came in
	Redirect string   `json:"redirect,omitempty"` // the iptables rule that led it here instead of where it was sent to
	Rules    []Rule   `json:"rules,omitempty"`    // of iptables, that were asked about its connection, in order
	Ports    []Port   `json:"ports,omitempty"`    // of the pod that a sidecar is in
	From     string   `json:"from,omitempty"`     // the address that it was sent from
	To       string   `json:"to,omitempty"`       // the address that it was sent to
	Protocol string   `json:"protocol,omitempty"` // in which it came, as in HTTP/1.1

	Sent  []string `json:"sent,omitempty"`  // names of the headers that the client sent
	Added []string `json:"added,omitempty"` // names of the headers that it added to the request
	Taken []string `json:"taken,omitempty"` // names of the headers that it took from it

	Timed  bool          `json:"timed"`  // whether the durations below are known
	Stayed time.Duration `json:"stayed"` // from when it came to the answer's begin, with all that is behind this hop
	Waited time.Duration `json:"waited"` // of that, for a pod or for its turn
	Own    time.Duration `json:"own"`    // the rest of it that no hop behind accounts for, there and back; queue-proxy's is in the container's
}

// Session is a TLS session, as far as its ends have told. The names are those
// in the certificates.
type Session struct {
	Version string `json:"version,omitempty"` // as in TLS 1.3
	Cipher  string `json:"cipher,omitempty"`
	Client  string `json:"client,omitempty"` // who sent, by the word of who took it
	Server  string `json:"server,omitempty"` // who took it, by the word of who sent
}

// Step is what happened in the activator. Those of a pod are within the step
// held.
type Step struct {
	Step string        `json:"step"`
	At   time.Duration `json:"at"` // its begin, since the request came to the activator
	Took time.Duration `json:"took"`
}

// The first and the last step.
const (
	Held      = "held"
	FirstByte = "first byte"
)

// Cold is whether any step of a pod was waited for.
func (w *Way) Cold() bool { return len(w.Steps) > 2 }

// Hop is the first hop of a name, or nil.
func (w *Way) Hop(name string) *Hop {
	for i := range w.Hops {
		if w.Hops[i].Name == name {
			return &w.Hops[i]
		}
	}
	return nil
}
