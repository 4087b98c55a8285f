package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
)

// process sees to it that the process of an embedded box runs, from this very
// devbox, and answers. One that it starts tells of its steps itself.
func (u *up) process(ctx context.Context) error {
	if u.running != nil {
		kept := false
		err := step{name: "box", do: func(ctx context.Context, say func(string)) (_ string, err error) {
			kept, err = u.keep(ctx, say)
			if kept {
				return fmt.Sprintf("process %d runs since %s", u.running.PID, u.running.Started.Local().Format("15:04")), err
			}
			return "ended, to be started by this version of devbox", err
		}}.run(ctx, u.Events)
		if err != nil || kept {
			return err
		}
	}
	u.box.Complete = true
	if err := u.box.save(); err != nil {
		return err
	}
	err := process.Spawn(ctx, u.box.dir(), u.Command, u.Events)
	if failed, ok := errors.AsType[*process.Failure](err); ok {
		return &ClusterError{Step: failed.Step, Err: errors.New(failed.Message), Hint: failed.Hint}
	}
	if err != nil && ctx.Err() == nil {
		return &ClusterError{Step: "box", Err: err, Hint: "its log is " + u.box.Log()}
	}
	return err
}

// keep says whether the process that runs will do. Where it will not, it has
// ended.
func (u *up) keep(ctx context.Context, say func(string)) (bool, error) {
	program, err := process.Program()
	if err != nil {
		return false, err
	}
	if u.running.Program == program {
		say("asking the box")
		asked, cancel := context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("no answer in %s", answerLimit))
		defer cancel()
		if err := awaitAnswers(asked, u.box); err == nil || ctx.Err() != nil {
			return err == nil, err
		}
	}
	say(fmt.Sprintf("ending process %d", u.running.PID))
	return false, u.running.Stop(ctx)
}

// answerLimit is how long a box that runs may take to answer.
const answerLimit = 10 * time.Second

// awaitAnswers waits for what a developer will ask first: the gateway and the
// registry, by the ports of this machine.
func awaitAnswers(ctx context.Context, box *Box) error {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if err := poll(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		return expect(ctx, &client, box.Gateway()+"/", http.StatusOK, http.StatusNotFound) // no service has this host
	}); err != nil {
		return fmt.Errorf("waiting for the gateway: %w", err)
	}
	if err := poll(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		return expect(ctx, &client, fmt.Sprintf("http://127.0.0.1:%d/v2/", box.RegistryPort), http.StatusOK)
	}); err != nil {
		return fmt.Errorf("waiting for the registry: %w", err)
	}
	return nil
}

// Log is the file that the process of an embedded box writes; "" for another
// engine.
func (b *Box) Log() string {
	if b.Engine != engineEmbedded {
		return ""
	}
	return filepath.Join(b.dir(), process.LogName)
}

// Lacks names what a cluster has and the box's engine has not.
func (b *Box) Lacks() []string {
	if b.Engine != engineEmbedded {
		return nil
	}
	return embedded.Lacks()
}

// lookEvery is how often a session looks whether the box is still there.
const lookEvery = 500 * time.Millisecond

// Watch returns a context that ends when ctx does, or when the box's process
// has ended; then its cause is a *ClusterError. A kind box is not watched: it
// comes back by itself. stop ends the watching.
func (b *Box) Watch(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if b.Engine != engineEmbedded {
		return ctx, func() { cancel(nil) }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(lookEvery):
			}
			if running, err := process.Find(ctx, b.dir()); err == nil && running == nil {
				cancel(&ClusterError{Step: "box", Err: errors.New("the box's process has ended"), Hint: "its log is " + b.Log()})
				return
			}
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}
