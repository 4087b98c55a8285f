package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// mark is the sign in front of an entry.
type mark string

const (
	running mark = ">" // Live has a spinner in its place
	done    mark = "✓"
	failed  mark = "✗"
	warned  mark = "!"
	noted   mark = " "
)

// entry is one event in words.
type entry struct {
	mark    mark
	key     string        // what it speaks of; the entries of one key follow each other
	name    string        // the same for people: a step or a service; may be empty
	text    string        // what happened, in one line
	aside   string        // said with less weight after text
	took    time.Duration // shown where it is not 0
	details []string      // lines below, verbatim: a compiler's words, a log's end
	results []string      // lines for stdout
}

// story turns events into entries. It remembers of earlier events only what
// a later entry repeats.
type story struct {
	gateway  string                   // the box's URL
	services map[string]*serviceStory // by name
}

type serviceStory struct {
	files []string      // what the change in hand changed
	built time.Duration // how long its build took
	live  string        // the last revision that went live
}

func (s *story) service(name string) *serviceStory {
	if s.services == nil {
		s.services = map[string]*serviceStory{}
	}
	if s.services[name] == nil {
		s.services[name] = &serviceStory{}
	}
	return s.services[name]
}

// tell puts e into words; ok is false where there is nothing to say.
func (s *story) tell(e event.Event) (said entry, ok bool) {
	switch e.Kind {
	case event.StepStarted, event.StepProgress:
		return entry{mark: running, key: "step " + e.Step, name: e.Step, text: e.Message}, true
	case event.StepDone:
		return entry{mark: done, key: "step " + e.Step, name: e.Step, text: e.Message, took: e.Duration}, true
	case event.StepFailed:
		// The command ends with the whole error; here is only where.
		return entry{mark: failed, key: "step " + e.Step, name: e.Step, text: "failed", took: e.Duration}, true
	case event.BoxReady:
		s.gateway = strings.TrimSuffix(e.URL, "/")
		return entry{}, false
	case event.Watching:
		return entry{mark: noted, text: e.Message}, true
	case event.Warning:
		return entry{mark: warned, name: e.Service, text: e.Message, details: next(e.Hint)}, true
	case event.Note:
		return entry{mark: noted, name: e.Service, text: e.Message, details: next(e.Hint)}, true
	default:
		return s.tellService(e)
	}
}

// tellService puts into words what befalls a service.
func (s *story) tellService(e event.Event) (said entry, ok bool) {
	service := s.service(e.Service)
	said = entry{mark: running, key: "service " + e.Service, name: e.Service}
	switch e.Kind {
	case event.Changed:
		service.files = e.Files
		said.text = "changed " + files(e.Files)
	case event.BuildStarted:
		said.text = "building"
	case event.BuildDone:
		service.built = e.Duration
		said.text = "built in " + duration(e.Duration)
	case event.BuildFailed:
		said.mark = failed
		said.text = "does not compile" + service.serving()
		said.details = append(lines(e.Error), next(e.Hint)...)
	case event.RevisionNew:
		said.text = "starting " + e.Revision
	case event.RevisionSlow:
		said.mark = warned
		said.text = e.Revision + " does not answer yet: " + first(e.Message)
		said.details = evidence("", e)
	case event.RevisionFailed:
		said.mark = failed
		said.text = e.Revision + " failed: " + first(e.Error) + service.serving()
		said.details = evidence(rest(e.Error), e)
	case event.RevisionLive:
		return s.tellLive(said, service, e), true
	default:
		return entry{}, false // a kind of a later devbox
	}
	return said, true
}

// tellLive says that a revision answers: the first time with where to find
// the service, from then on with what changed and where the time went.
func (s *story) tellLive(said entry, service *serviceStory, e event.Event) entry {
	said.mark = done
	if service.live == "" {
		said.text = e.Revision + " live"
		if service.built > 0 {
			said.text = "built " + duration(service.built) + ", " + said.text
		}
		said.took = e.Duration
		said.results = s.address(e)
	} else {
		said.name = ""
		said.text = e.Revision + " live in " + duration(e.Duration)
		said.aside = strings.TrimSpace(phases(e.Phases) + "  " + files(service.files))
	}
	service.live, service.files, service.built = e.Revision, nil, 0
	return said
}

// address says how to ask for a service: through the gateway by its host, and
// by the name that a browser finds without any set-up.
func (s *story) address(e event.Event) []string {
	var said []string
	if e.Host != "" && s.gateway != "" {
		said = append(said, fmt.Sprintf("curl -H 'Host: %s' %s", e.Host, s.gateway))
	}
	if e.URL != "" {
		said = append(said, "or open "+e.URL)
	}
	return said
}

// serving says which revision is not touched by a failure.
func (s *serviceStory) serving() string {
	if s.live == "" {
		return ""
	}
	return "; " + s.live + " goes on serving"
}

// evidence is what belongs under a revision's trouble: the rest of the error,
// the last lines of its log, and what to do next.
func evidence(more string, e event.Event) []string {
	said := lines(more)
	for _, line := range e.Log {
		said = append(said, "| "+line)
	}
	return append(said, next(e.Hint)...)
}

// next says what to do about it.
func next(hint string) []string {
	if hint == "" {
		return nil
	}
	return []string{"next: " + hint}
}

// files names what changed: the first file, and how many others.
func files(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return fmt.Sprintf("%s +%d", names[0], len(names)-1)
	}
}

// phases says where the time went.
func phases(parts []event.Phase) string {
	if len(parts) == 0 {
		return ""
	}
	said := make([]string, len(parts))
	for i, p := range parts {
		said[i] = p.Name + " " + duration(p.Duration)
	}
	return "(" + strings.Join(said, ", ") + ")"
}
