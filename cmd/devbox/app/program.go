package app

import (
	"context"
	"errors"
	"os/exec"

	"golang.org/x/sync/errgroup"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/compile"
)

// boxProcess makes ready what runs an embedded box, and returns its command
// line: the program, which is compiled where this very source was not before,
// and queue-proxy's image beside it.
func (d *devbox) boxProcess(ctx context.Context, say func(string)) ([]string, error) {
	box, err := compile.Box(ctx)
	if err != nil {
		return nil, err
	}
	var program, queue string
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		program, err = box.Get(ctx, say)
		return err
	})
	both.Go(func() (err error) {
		queue, err = queueLayout(ctx)
		return err
	})
	if err := both.Wait(); err != nil {
		return nil, withoutGo(err)
	}
	return []string{program, "--name", d.name, "--queue", queue}, nil
}

// withoutGo says what to do where there is no go command.
func withoutGo(err error) error {
	if !errors.Is(err, exec.ErrNotFound) {
		return err
	}
	return &bootstrap.PrerequisiteError{Findings: []bootstrap.Finding{{
		Name: "go", Level: bootstrap.Fail, Message: err.Error(), Hint: "install Go, or put the go command on the PATH",
	}}}
}
