package load

import (
	"sync"
	"time"
)

// Pods are how many a service has at a moment.
type Pods struct {
	At      time.Duration `json:"at"`      // since the load began
	Ready   int           `json:"ready"`   // that answer
	Present int           `json:"present"` // that are there, and not ending
	Wanted  int           `json:"wanted"`  // as the autoscaler has it
}

// Mark is a moment in the life of a service.
type Mark struct {
	At   time.Duration `json:"at"`
	Kind string        `json:"kind"` // MarkNew and so on
	What string        `json:"what"` // a revision, or a service
}

// What a Mark tells of a revision, and of a service.
const (
	MarkNew    = "new"    // it was made
	MarkLive   = "live"   // it takes the traffic
	MarkFailed = "failed" // it will not answer

	MarkBuild   = "build failed" // an edit of it does not compile
	MarkDeleted = "deleted"      // it is gone
)

// bound is how much a Timeline keeps; a service that changes more often than
// this has other troubles.
const bound = 20_000

// Timeline is what happens to a service while it is under load. One goroutine
// writes it, others may read.
type Timeline struct {
	began time.Time

	mu    sync.Mutex
	pods  []Pods
	marks []Mark
}

// NewTimeline returns one that begins now.
func NewTimeline() *Timeline { return &Timeline{began: time.Now()} }

// Set says how many pods there are from now on.
func (t *Timeline) Set(ready, present, wanted int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := Pods{At: time.Since(t.began), Ready: ready, Present: present, Wanted: wanted}
	if n := len(t.pods); n > 0 {
		was := t.pods[n-1]
		if was.At = now.At; was == now || n == bound {
			return
		}
	}
	t.pods = append(t.pods, now)
}

// Add marks a moment.
func (t *Timeline) Add(kind, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.marks) < bound {
		t.marks = append(t.marks, Mark{At: time.Since(t.began), Kind: kind, What: what})
	}
}

// Now are the pods at this moment; ok is false where nobody has said.
func (t *Timeline) Now() (now Pods, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pods) == 0 {
		return Pods{}, false
	}
	return t.pods[len(t.pods)-1], true
}

// all is what there is, with times since a load that began at a moment.
func (t *Timeline) all(began time.Time) ([]Pods, []Mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	shift := began.Sub(t.began)
	pods, marks := make([]Pods, 0, len(t.pods)), make([]Mark, 0, len(t.marks))
	for _, p := range t.pods {
		if p.At = max(0, p.At-shift); len(pods) > 0 && p.At == 0 {
			pods = pods[:0] // only the last before the begin counts
		}
		pods = append(pods, p)
	}
	for _, m := range t.marks {
		if m.At -= shift; m.At >= 0 {
			marks = append(marks, m)
		}
	}
	return pods, marks
}
