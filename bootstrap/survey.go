package bootstrap

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Level says how bad a Finding is.
type Level string

// The levels: with a Fail there is no box.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is one thing that was looked at before a box is made.
type Finding struct {
	Name    string `json:"name"`
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do about it
}

// Survey is what a look at this machine finds, and the box that would be made
// on it.
type Survey struct {
	Config        // what box is wanted
	Dir    string // the box's folder, which may not be there
	Record *Box   // what is known of the box, nil where that is nothing
	Since  string // why no engine that is tried before was chosen; "" where none was tried

	Findings []Finding
	Would    []string // what would be done to a cluster that is not devbox's own, in words

	claims map[int]func() // what gives back the ports that this survey claims

	// What an engine settles.
	Box   *Box // that would be made, or that is there
	There bool // Box has its ports already
}

// Add notes a finding. hint says what to do about it, "" where that is clear.
func (s *Survey) Add(name string, level Level, message, hint string) {
	s.Findings = append(s.Findings, Finding{Name: name, Level: level, Message: message, Hint: hint})
}

// Failed are the findings with which there is no box.
func (s *Survey) Failed() []Finding {
	var failed []Finding
	for _, f := range s.Findings {
		if f.Level == Fail {
			failed = append(failed, f)
		}
	}
	return failed
}

// Check looks at all that a box needs of this machine, and changes nothing.
func (all Engines) Check(ctx context.Context, cfg Config) []Finding {
	s, _ := all.look(ctx, cfg.withDefaults())
	s.release()
	return s.Findings
}

// Plan says what an Up would do to a cluster that is not devbox's own, one thing
// after the other, and which box there would be. It changes nothing, and fails
// as the Up would before it begins.
func (all Engines) Plan(ctx context.Context, cfg Config) (would []string, box *Box, err error) {
	s, _ := all.look(ctx, cfg.withDefaults())
	s.release()
	if failed := s.Failed(); len(failed) > 0 {
		return nil, nil, &PrerequisiteError{Findings: failed}
	}
	return s.Would, s.Box, nil
}

// look surveys this machine, and says what brings the box up. What cannot be
// asked because something before it failed is left out.
func (all Engines) look(ctx context.Context, cfg Config) (*Survey, []Step) {
	s := &Survey{Config: cfg}
	if s.configuration(); len(s.Failed()) > 0 {
		return s, nil
	}
	if s.record(); len(s.Failed()) > 0 {
		return s, nil
	}
	if s.Record == nil && s.Engine == Auto {
		return all.first(ctx, s)
	}
	engine := all.choose(s)
	if engine == nil {
		return s, nil
	}
	return s, engine.Survey(ctx, s)
}

// first is the survey of the first engine that can make the box here; where
// none can, of the last. Why one cannot is the survey's Since of the next.
func (all Engines) first(ctx context.Context, s *Survey) (*Survey, []Step) {
	last := *s
	for _, engine := range all {
		if err := engine.Ready(ctx); err != nil {
			s.Since = err.Error()
			continue
		}
		tried := *s
		tried.Findings = slices.Clone(s.Findings)
		steps := engine.Survey(ctx, &tried)
		failed := tried.Failed()
		if len(failed) == 0 || tried.settled() {
			return &tried, steps
		}
		tried.release()
		last, s.Since = tried, short(failed[0].Message)
	}
	if len(last.Failed()) == 0 { // none was even ready
		last.Add("engine", Fail, s.Since, "")
	}
	return &last, nil
}

// settled says that the command line asks for what one engine alone has, so
// that no other is tried where that one fails.
func (s *Survey) settled() bool { return s.ImagesDir != "" || s.Mesh != nil && *s.Mesh }

// short is the part of a sentence before its reason.
func short(message string) string {
	said, _, _ := strings.Cut(message, ": ")
	return said
}

// configuration looks whether what is known of a box can be kept.
func (s *Survey) configuration() {
	dir, err := dirOf(s.Name)
	if err != nil {
		s.Add("name", Fail, err.Error(), "")
		return
	}
	// What Up would make is made and unmade, so that a look leaves nothing.
	place := existing(dir)
	probe, err := os.CreateTemp(place, ".devbox-*")
	if err != nil {
		s.Findings = append(s.Findings, noPlace(place, err))
		return
	}
	probe.Close()
	_ = os.Remove(probe.Name())
	s.Dir = dir
	s.Add("configuration directory", OK, dir, "")
}

// existing is path, or the nearest directory above it that is there.
func existing(path string) string {
	for {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// record reads what is known of the box.
func (s *Survey) record() {
	var err error
	if s.Record, err = read(s.Name); err != nil {
		s.Add("box", Fail, err.Error(), "remove that file, and the cluster with `kind delete cluster --name "+s.Name+"`")
	}
}

// preflight says whether a box can be made here, and tells of what a person
// should know before it is.
func (s *Survey) preflight() (summary string, err error) {
	if failed := s.Failed(); len(failed) > 0 {
		return "", &PrerequisiteError{Findings: failed}
	}
	s.Warn("preflight", s.Findings)
	return s.summary(), nil
}

// Warn tells of those findings that a person should know of, as a step does.
func (s *Survey) Warn(step string, findings []Finding) {
	for _, f := range findings {
		if f.Level == Warn {
			s.Events.Emit(event.Event{Kind: event.Warning, Step: step, Message: f.Message, Hint: f.Hint})
		}
	}
}

// summary is one line of what a look that failed in nothing found.
func (s *Survey) summary() string {
	var said []string
	for _, f := range s.Findings {
		switch f.Name {
		case "engine", "cores", "memory":
			said = append(said, f.Message)
		}
	}
	return strings.Join(append(said, strings.TrimPrefix(s.Box.Gateway(), "http://")), ", ")
}
