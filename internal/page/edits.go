package page

import (
	"context"
	"slices"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/history"
)

// mostEdits are shown.
const mostEdits = 60

// How an edit goes on, and ends.
const (
	building   = "building"
	starting   = "starting"
	live       = "live"
	broken     = "does not compile"
	failed     = "failed"
	superseded = "superseded" // by a save that came before it was live
	stopped    = "stopped"    // the session ended before it was live
)

// edit is one save's way to a live revision, or to what stopped it.
type edit struct {
	ID       int           `json:"id"` // its number, which it keeps
	Began    time.Time     `json:"began"`
	Service  string        `json:"service"`
	Revision string        `json:"revision,omitempty"`
	Outcome  string        `json:"outcome"`
	Duration time.Duration `json:"duration"`
	Phases   []event.Phase `json:"phases,omitempty"`
	Files    []string      `json:"files,omitempty"`
	Error    string        `json:"error,omitempty"` // the compiler's or the container's words
	Log      []string      `json:"log,omitempty"`
	Hint     string        `json:"hint,omitempty"`
}

func (e *edit) open() bool { return e.Outcome == building || e.Outcome == starting }

// edits makes edits of events, which come in their order.
type edits struct {
	all   []edit
	now   map[string]int // by service: the edit in hand, as an index of all
	begun int            // that there ever were
}

// take says whether e concerns an edit.
func (s *edits) take(e event.Event) bool {
	if s.now == nil {
		s.now = map[string]int{}
	}
	if e.Kind == event.BoxReady { // a session begins; the one before has ended
		for i := range s.all {
			if s.all[i].open() {
				s.all[i].Outcome = stopped
			}
		}
		return true
	}
	if e.Service == "" {
		return false
	}
	switch e.Kind {
	case event.Changed:
		s.begin(e)
	case event.BuildStarted:
		if one := s.of(e); !one.open() {
			s.begin(e)
		}
	case event.BuildDone:
		one := s.of(e)
		one.Phases = append(one.Phases[:0], e.Phases...)
		one.Duration = e.Duration
	case event.RevisionNew:
		one := s.of(e)
		one.Outcome, one.Revision = starting, e.Revision
	case event.RevisionSlow:
		one := s.of(e)
		one.Error, one.Log, one.Hint = e.Message, e.Log, e.Hint
	case event.ServiceDeleted:
		if one := s.of(e); one.open() {
			s.end(e, failed)
		}
	case event.BuildFailed:
		s.end(e, broken)
	case event.RevisionFailed, event.ObjectFailed:
		s.end(e, failed)
	case event.RevisionLive, event.ObjectsLive:
		s.end(e, live)
	case event.Warning:
		if one := s.of(e); one.open() {
			one.Error, one.Hint = e.Message, e.Hint
		}
	default:
		return false
	}
	return true
}

// begin begins an edit. One that is in hand goes no further.
func (s *edits) begin(e event.Event) {
	if i, ok := s.now[e.Service]; ok && s.all[i].open() {
		s.all[i].Outcome = superseded
	}
	if len(s.all) >= 2*mostEdits {
		s.forget()
	}
	s.now[e.Service] = len(s.all)
	s.begun++
	s.all = append(s.all, edit{ID: s.begun, Began: e.Time, Service: e.Service, Outcome: building, Files: e.Files})
}

// of is the edit in hand of e's service; the history may begin in its middle.
func (s *edits) of(e event.Event) *edit {
	if _, ok := s.now[e.Service]; !ok {
		s.begin(e)
	}
	return &s.all[s.now[e.Service]]
}

func (s *edits) end(e event.Event, outcome string) {
	one := s.of(e)
	one.Outcome, one.Error, one.Log, one.Hint = outcome, e.Error, e.Log, e.Hint
	if e.Revision != "" {
		one.Revision = e.Revision
	}
	if len(e.Files) > 0 {
		one.Files = e.Files
	}
	one.Duration = e.Time.Sub(one.Began)
	switch {
	case e.Duration > 0 && outcome == live: // counted from the save itself
		one.Duration, one.Began, one.Phases = e.Duration, e.Time.Add(-e.Duration), e.Phases
	case outcome == broken:
		one.Phases = []event.Phase{{Name: "build", Duration: e.Duration}}
		one.Duration = max(one.Duration, e.Duration)
	}
}

// forget drops the oldest half.
func (s *edits) forget() {
	dropped := len(s.all) - mostEdits
	s.all = slices.Clone(s.all[dropped:])
	for service, i := range s.now {
		if i < dropped {
			delete(s.now, service)
			continue
		}
		s.now[service] = i - dropped
	}
}

// last are the newest edits, newest first.
func (s *edits) last() []edit {
	out := append([]edit{}, s.all[max(0, len(s.all)-mostEdits):]...)
	slices.Reverse(out)
	return out
}

// followEvents tells the page of edits until ctx ends. Those of the past come
// in one piece.
func (s *Server) followEvents(ctx context.Context) {
	events := make(chan event.Event, 2*waiting)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		for ctx.Err() == nil { // a file that cannot be read may be, later
			_ = history.Follow(ctx, s.cfg.Events, func(e event.Event) {
				select {
				case events <- e:
				case <-ctx.Done():
				}
			})
			pause(ctx, askEvery)
		}
	}()
	defer func() { <-followed }()
	var all edits
	s.hub.put("edits", all.last())
	for {
		select {
		case e := <-events:
			all.take(e)
			if len(events) == 0 {
				s.hub.put("edits", all.last())
			}
		case <-ctx.Done():
			return
		}
	}
}
