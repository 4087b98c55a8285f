package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
	"github.com/kind-in-a-box/devbox/internal/compile"
)

// up is one run of the steps: what they hand to each other.
type up struct {
	bootstrap.Config
	box     *bootstrap.Box
	running *process.Process // the box's process, nil where none runs

	ready   bootstrap.Gate // program: it is there
	command []string       // it and its arguments

	looked bootstrap.Gate // box: what to do is known
	kept   bool           // the process that runs will do
}

func newUp(s *bootstrap.Survey, running *process.Process) *up {
	return &up{Config: s.Config, box: s.Box, running: running, ready: make(bootstrap.Gate), looked: make(bootstrap.Gate)}
}

// steps see to it that the box's process runs, of the program that belongs to
// this devbox, and answers. One that is started tells of its own steps:
// box.Serve has their list.
func (u *up) steps() []bootstrap.Step {
	program := bootstrap.Step{Name: "program", Do: u.program}
	if u.running == nil {
		return []bootstrap.Step{program, {After: u.ready, Do: u.start}}
	}
	return []bootstrap.Step{
		program,
		{Name: "box", After: u.ready, Do: u.look},
		{After: u.looked, Do: u.start},
	}
}

// program makes ready what is to run.
func (u *up) program(ctx context.Context, say func(string)) (string, error) {
	compiled := false
	command, err := u.Process(ctx, func(message string) {
		compiled = true
		say(message)
	})
	if err != nil {
		return "", err
	}
	u.command = command
	u.ready.Open()
	if compiled {
		return "the box's program compiled", nil
	}
	return "the box's program is there", nil
}

// answerLimit is how long a box that runs may take to answer.
const answerLimit = 10 * time.Second

// look says whether the process that runs will do. Where it will not, it has
// ended.
func (u *up) look(ctx context.Context, say func(string)) (string, error) {
	program, err := compile.Sum(u.command[0])
	if err != nil {
		return "", err
	}
	if u.running.Program == program {
		say("asking the box")
		asked, cancel := context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("no answer in %s", answerLimit))
		defer cancel()
		err := bootstrap.AwaitAnswers(asked, u.box)
		if ctx.Err() != nil {
			return "", err
		}
		u.kept = err == nil
	}
	if !u.kept {
		say(fmt.Sprintf("ending process %d", u.running.PID))
		if err := u.running.Stop(ctx); err != nil {
			return "", err
		}
	}
	u.looked.Open()
	if u.kept {
		return fmt.Sprintf("process %d runs since %s", u.running.PID, u.running.Started.Local().Format("15:04")), nil
	}
	return "ended, to be started by this version of devbox", nil
}

// start starts the box's process and passes on what it tells, until it
// answers.
func (u *up) start(ctx context.Context, _ func(string)) (string, error) {
	if u.kept {
		return "", nil
	}
	u.box.Complete = true
	if err := u.box.Save(); err != nil {
		return "", err
	}
	err := process.Spawn(ctx, u.box.Dir(), u.command, u.Events)
	if failed, ok := errors.AsType[*process.Failure](err); ok {
		return "", &bootstrap.ClusterError{Step: failed.Step, Err: errors.New(failed.Message), Hint: failed.Hint}
	}
	if err != nil && ctx.Err() == nil {
		return "", &bootstrap.ClusterError{Step: "box", Err: err, Hint: "its log is " + logOf(u.box)}
	}
	return "", err
}
