package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// transcript keeps events as lines: when, what, and its words.
type transcript struct {
	mu    sync.Mutex
	start time.Time
	lines []string
}

func (tr *transcript) sink(e event.Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	line := fmt.Sprintf("%v %s %s", e.Time.Sub(tr.start), e.Kind, e.Step)
	for _, words := range []string{e.Message, e.Error, e.Hint} {
		if words != "" {
			line += " | " + words
		}
	}
	if e.Duration > 0 {
		line += fmt.Sprintf(" (%v)", e.Duration)
	}
	tr.lines = append(tr.lines, line)
}

// working is a step that takes so long and ends so.
func working(takes time.Duration, summary string, err error) func(context.Context, func(string)) (string, error) {
	return func(ctx context.Context, say func(string)) (string, error) {
		select {
		case <-time.After(takes):
			return summary, err
		case <-ctx.Done():
			return "", fmt.Errorf("the engine said: %w", context.Cause(ctx))
		}
	}
}

func TestSteps(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		steps     func() []Step
		interrupt time.Duration
		want      string // lines of the transcript
		check     func(error) bool
	}{
		"side by side, after gates": {
			steps: func() []Step {
				up := make(Gate)
				return []Step{
					{Name: "cluster", Do: func(ctx context.Context, say func(string)) (string, error) {
						time.Sleep(2 * time.Second)
						say("the node is up")
						up.Open()
						time.Sleep(3 * time.Second)
						return "kind", nil
					}},
					{Name: "images", After: up, Do: working(time.Second, "2 images", nil)},
				}
			},
			want: `
				0s step.started cluster
				2s step.progress cluster | the node is up
				2s step.started images
				3s step.done images | 2 images (1s)
				5s step.done cluster | kind (5s)`,
			check: func(err error) bool { return err == nil },
		},
		"one fails, the others stop": {
			steps: func() []Step {
				return []Step{
					{Name: "cluster", Do: working(time.Second, "", broken)},
					{Name: "platform", Do: working(time.Minute, "", nil)},
					{Name: "images", After: make(Gate), Do: working(0, "", nil)},
				}
			},
			want: `
				0s step.started cluster
				0s step.started platform
				1s step.failed cluster | broken | run ` + "`devbox up --name mine` again; if that does not help, `devbox down --name mine` first" + ` (1s)`,
			check: func(err error) bool {
				failed, ok := errors.AsType[*ClusterError](err)
				return ok && failed.Step == "cluster" && errors.Is(err, broken)
			},
		},
		"something is missing": {
			steps: func() []Step {
				missing := &PrerequisiteError{Findings: []Finding{{Message: "docker is not running", Hint: "start it"}}}
				return []Step{{Name: "preflight", Do: working(0, "", missing)}}
			},
			want: `
				0s step.started preflight
				0s step.failed preflight | docker is not running | start it`,
			check: func(err error) bool {
				_, ok := errors.AsType[*PrerequisiteError](err)
				return ok
			},
		},
		"Ctrl-C": {
			steps: func() []Step {
				return []Step{{Name: "cluster", Do: working(time.Minute, "", nil)}}
			},
			interrupt: 3 * time.Second,
			want: `
				0s step.started cluster
				3s step.failed cluster | interrupted (3s)`,
			check: func(err error) bool { return errors.Is(err, context.Canceled) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.interrupt > 0 {
					time.AfterFunc(c.interrupt, cancel)
				}
				tr := &transcript{start: time.Now()}
				err := RunAll(ctx, "mine", tr.sink, c.steps())
				if !c.check(err) {
					t.Errorf("got error %v", err)
				}
				var want []string
				for l := range strings.SplitSeq(strings.TrimSpace(c.want), "\n") {
					want = append(want, strings.TrimSpace(l))
				}
				slices.Sort(want) // what happens at one moment has no order
				slices.Sort(tr.lines)
				if !slices.Equal(tr.lines, want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(tr.lines, "\n"), strings.Join(want, "\n"))
				}
			})
		})
	}
}
