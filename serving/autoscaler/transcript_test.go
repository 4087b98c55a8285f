package autoscaler

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

var rewrite = flag.Bool("rewrite", false, "write what the autoscaler says now into testdata")

// TestTranscripts replays the stories in testdata. A story is a list of
// commands, each followed by ---- and what came of it:
//
//	config key=value...           config-autoscaler, before the revision
//	revision key=value...         a new revision with these annotations;
//	                              concurrency=N is its container concurrency
//	annotate key=value...         its annotations from now on
//	pods start=2s                 how long a pod takes until it answers; never
//	hold N                        N requests wait for a pod
//	load N rps=M for=10s          N requests in flight, M a second
//	idle for=60s                  no requests
//	reachable | unreachable       whether a route leads to it
//	activator gone | back         whether somebody counts
//	restart                       the autoscaler forgets; the pods stay
//
// The clock stands at 0s after revision and moves only with for=. A line is
// printed whenever the wanted number or the panic changes. Pods come start
// after they are wanted and go at once.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(string(data))
			if got == string(data) {
				return
			}
			if !*rewrite {
				t.Fatalf("the story goes otherwise now; go test -rewrite and read the difference. It goes:\n%s", got)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// replay returns the transcript with the answers given now. Comments and
// empty lines stay.
func replay(transcript string) string {
	var out strings.Builder
	s := &story{start: 2 * time.Second, known: true}
	answer := false
	for line := range strings.Lines(transcript) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "":
			answer = false
			out.WriteString("\n")
		case answer:
			// what came of it last time
		case strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		case line == "----":
			answer = true
		default:
			out.WriteString(line + "\n----\n" + s.do(strings.Fields(line)))
		}
	}
	return out.String()
}

// story is one revision and its pods in an imagined cluster.
type story struct {
	config      map[string]string
	annotations map[string]string
	limit       int64 // containerConcurrency

	d     *decider
	now   time.Time
	begun time.Time
	start time.Duration // of a pod; negative is never
	known bool
	due   []time.Time // when each pod answers, or has begun to
	told  string      // last line without its time
	out   strings.Builder
}

func (s *story) do(words []string) string {
	s.out.Reset()
	if err := s.command(words[0], words[1:]); err != nil {
		fmt.Fprintf(&s.out, "error: %v\n", err)
	}
	return s.out.String()
}

func (s *story) command(name string, args []string) error {
	plain, keyed := split(args)
	switch name {
	case "config":
		s.config = keyed
	case "revision":
		s.begun = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		s.now, s.due, s.d, s.told = s.begun, nil, newDecider(), ""
		s.d.revision.Reachable = true
		return s.annotate(keyed)
	case "annotate":
		return s.annotate(keyed)
	case "pods":
		s.start = duration(keyed["start"])
	case "hold":
		s.d.hold("a", number(plain), s.now)
		s.decide()
	case "load", "idle":
		s.load(number(plain), keyed)
	case "reachable", "unreachable":
		s.d.revision.Reachable = name == "reachable"
		s.decide()
	case "activator":
		s.known = plain == "back"
		if !s.known {
			s.d.gone("a")
		}
	case "restart":
		old := s.d.revision
		s.d = newDecider()
		s.d.track(Revision{Spec: old.Spec, Reachable: old.Reachable, Started: true})
		s.decide()
	default:
		return fmt.Errorf("no such command: %s", name)
	}
	return nil
}

// split parts key=value words from a plain one.
func split(args []string) (plain string, keyed map[string]string) {
	keyed = make(map[string]string)
	for _, arg := range args {
		if key, value, ok := strings.Cut(arg, "="); ok {
			keyed[key] = value
		} else {
			plain = arg
		}
	}
	return plain, keyed
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func duration(s string) time.Duration {
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	return -1
}

func (s *story) annotate(keyed map[string]string) error {
	if limit, ok := keyed["concurrency"]; ok {
		s.limit = int64(number(limit))
		delete(keyed, "concurrency")
	}
	s.annotations = make(map[string]string)
	for key, value := range keyed {
		s.annotations[servingv1.AutoscalingPrefix+key] = value
	}
	config, err := ParseConfig(s.config)
	if err != nil {
		return err
	}
	spec, err := config.Spec(s.annotations, s.limit)
	if err != nil {
		return err
	}
	spec.ActivationDeadline = time.Minute
	r := s.d.revision
	r.Spec = spec
	s.d.track(r)
	s.decide()
	return nil
}

// load lets time pass with this many requests in flight: the activator
// reports every second and pokes while it holds; every other second is a tick.
func (s *story) load(inFlight int, keyed map[string]string) {
	rate, _ := strconv.ParseFloat(keyed["rps"], 64)
	for end := s.now.Add(duration(keyed["for"])); s.now.Before(end); {
		s.now = s.now.Add(time.Second)
		busy := inFlight > 0 || rate > 0
		if s.known && (busy || len(s.d.inFlight) > 0) {
			s.d.count("a", &stream.Stats{Concurrency: float64(inFlight), Requests: rate, InFlight: inFlight}, s.now)
		}
		if s.now.Sub(s.begun)%tick == 0 || busy && (s.d.last.Want == 0 || s.ready() == 0) {
			s.decide()
		}
	}
}

// decide asks the autoscaler and does as it says.
func (s *story) decide() {
	s.d.revision.Pods = int32(len(s.due))
	s.d.revision.Ready = s.ready()
	ready := s.d.revision.Ready
	s.d.decide(s.now, s.known)
	want := int(s.d.last.Want)
	for len(s.due) < want {
		due := s.now.Add(s.start)
		if s.start < 0 {
			due = s.now.Add(1000 * time.Hour)
		}
		s.due = append(s.due, due)
	}
	s.due = s.due[:want]

	mood := ""
	if s.d.last.Panicking {
		mood = " panic"
	}
	line := fmt.Sprintf("want %d%s", want, mood)
	if line != s.told {
		fmt.Fprintf(&s.out, "%5v  ready %-2d  %s: %s\n", s.now.Sub(s.begun), ready, line, s.d.last.Reason)
		s.told = line
	}
}

func (s *story) ready() (n int32) {
	for _, due := range s.due {
		if !s.now.Before(due) {
			n++
		}
	}
	return n
}
