package terminal

import (
	"fmt"
	"net/url"
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
	goesOn  bool          // what it speaks of is not at an end, though the entry stays
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
	built time.Duration // how long the build in hand took
	live  string        // the revision that serves: the last that went live
	shown bool          // where it answers was said
	hosts []string      // that its objects gave the gateway, and that nobody was told of
	stood bool          // its objects were all live once
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
		said = entry{mark: failed, key: "step " + e.Step, name: e.Step, text: "failed", took: e.Duration}
		if e.Error == "interrupted" {
			said.text = e.Error
		}
		return said, true
	case event.BoxReady:
		s.gateway = strings.TrimSuffix(e.URL, "/")
		return entry{}, false
	case event.Watching:
		return entry{mark: noted, text: e.Message}, true
	case event.Warning:
		return entry{mark: warned, key: "service " + e.Service, name: e.Service, text: first(e.Message), details: append(lines(rest(e.Message)), advice(e.Hint)...)}, true
	case event.Note, event.Debugging:
		return entry{mark: noted, name: e.Service, text: first(e.Message), goesOn: true, details: append(lines(rest(e.Message)), advice(e.Hint)...)}, true
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
		said.text = "changed " + files(e.Files)
	case event.BuildStarted:
		said.text = "building"
	case event.BuildDone:
		service.built = e.Duration
		said.text = "built in " + duration(e.Duration)
		if e.Message != "" {
			said.text += ": " + e.Message
		}
	case event.BuildFailed:
		said.mark = failed
		said.text = "does not compile" + service.serving()
		said.details = append(lines(e.Error), advice(e.Hint)...)
	case event.RevisionNew:
		said.text = "starting " + e.Revision
	case event.RevisionSlow:
		said.mark, said.goesOn = warned, true
		said.text = e.Revision + " does not answer yet: " + first(e.Message)
		said.details = evidence(rest(e.Message), e)
	case event.RevisionFailed:
		said.mark = failed
		said.text = e.Revision + " failed" + service.serving()
		said.details = evidence(e.Error, e)
	case event.TrafficMoved:
		service.live = e.Revision
		said.mark, said.text, said.details = noted, e.Message, advice(e.Hint)
	case event.ServiceDeleted:
		service.live, service.built, service.shown = "", 0, false
		said.mark, said.text, said.details = warned, e.Message, advice(e.Hint)
	case event.RevisionLive:
		return s.tellLive(said, service, e), true
	default:
		return s.tellObjects(e)
	}
	return said, true
}

// tellObjects puts into words what befalls the objects of a directory.
func (s *story) tellObjects(e event.Event) (said entry, ok bool) {
	service := s.service(e.Service)
	said = entry{mark: running, key: "objects " + e.Service, name: e.Service}
	switch e.Kind {
	case event.ObjectApplied:
		said.text = "applied " + e.Object
		if e.Host != "" && !service.stood {
			service.hosts = append(service.hosts, e.Host)
		}
	case event.ObjectReady:
		said.text = e.Object + " is rolled out"
	case event.ObjectSlow:
		said.mark, said.goesOn = warned, true
		said.text = e.Object + " is not rolled out yet: " + first(e.Message)
		said.details = evidence(rest(e.Message), e)
	case event.ObjectFailed:
		said.mark = failed
		said.text = e.Object + " failed"
		said.details = evidence(e.Error, e)
	case event.ObjectRemoved:
		said.mark, said.goesOn = done, true
		said.text = "removed " + e.Object
	case event.ObjectsLive:
		return s.tellObjectsLive(said, service, e), true
	default:
		return entry{}, false // a kind of a later devbox
	}
	return said, true
}

// tellObjectsLive says that all objects are as the files say, and the first
// time how to ask for what the gateway leads to.
func (s *story) tellObjectsLive(said entry, service *serviceStory, e event.Event) entry {
	said.mark = done
	if service.stood {
		said.text = "live in " + duration(e.Duration)
		said.aside = strings.TrimSpace(phases(e.Phases) + "  " + files(e.Files))
	} else {
		said.text, said.took = e.Message+" applied and rolled out", e.Duration
		for _, host := range service.hosts {
			said.results = append(said.results, fmt.Sprintf("curl -H 'Host: %s' %s", host, s.gateway))
		}
	}
	service.stood, service.hosts = true, nil
	return said
}

// tellLive says that a revision answers: the first time with where to find
// the service, from then on with what changed and where the time went.
func (s *story) tellLive(said entry, service *serviceStory, e event.Event) entry {
	said.mark = done
	if !service.shown {
		service.shown = true
		said.text = e.Revision + " live"
		if service.built > 0 {
			said.text = "built " + duration(service.built) + ", " + said.text
		}
		said.took = e.Duration
		said.results = s.address(e)
	} else {
		said.name = ""
		said.text = e.Revision + " live in " + duration(e.Duration)
		said.aside = strings.TrimSpace(phases(e.Phases) + "  " + files(e.Files))
	}
	if e.Message != "" { // which is why requests do not reach it
		said.text = strings.Replace(said.text, e.Revision+" live", e.Revision+" ready", 1)
		said.details = append(lines(e.Message), advice(e.Hint)...)
	} else {
		service.live = e.Revision
	}
	service.built = 0
	return said
}

// address says how to ask for a service: through the gateway by its host, and
// by the name that browsers take to this machine without any set-up, or why it
// has none.
func (s *story) address(e event.Event) []string {
	gateway, err := url.Parse(s.gateway)
	if err != nil || s.gateway == "" || e.Host == "" {
		return nil
	}
	said := []string{fmt.Sprintf("curl -H 'Host: %s' %s", e.Host, s.gateway)}
	switch {
	case e.Browser != "":
		said = append(said, fmt.Sprintf("or open http://%s:%s", e.Browser, gateway.Port()))
	case e.Unfound != "":
		said = append(said, "no browser finds it: "+e.Unfound)
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

// evidence is what belongs under a revision's trouble: why, the last lines of
// its log, and what to do about it. Kubernetes takes the log's end into the
// reason too, so where there is a log, only the reason's first line is said.
func evidence(why string, e event.Event) []string {
	said := lines(why)
	if len(e.Log) > 0 && len(said) > 1 {
		said = said[:1]
	}
	for _, line := range e.Log {
		said = append(said, "| "+line)
	}
	return append(said, advice(e.Hint)...)
}

// advice says what to do about it, if there is anything.
func advice(hint string) []string {
	if hint == "" {
		return nil
	}
	return []string{"hint: " + hint}
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
