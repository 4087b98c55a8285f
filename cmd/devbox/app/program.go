package app

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/compile"
	"github.com/kind-in-a-box/devbox/internal/release"
)

// released is the release that this program is part of, if it is, with the
// files that names name as they were released.
func released(names ...string) (dir release.Dir, ok bool, err error) {
	if dir, ok = release.Beside(); !ok {
		return "", false, nil
	}
	if _, err := dir.Check(names...); err != nil {
		return "", false, notWhole(dir, err)
	}
	return dir, true, nil
}

// notWhole says what to do about a release that is not as it was.
func notWhole(dir release.Dir, err error) error {
	return &problem{
		code: codePrerequisite, cause: fmt.Errorf("the release in %s is not whole", dir),
		evidence: strings.Split(err.Error(), "\n"), next: "unpack its archive there again, all of it",
	}
}

// boxProcess makes ready what runs an embedded box, and returns its command
// line: the program and queue-proxy's image, which lie beside an installed
// devbox, and are built where this very source was not before.
func (d *devbox) boxProcess(ctx context.Context, say func(string)) ([]string, error) {
	beside, ok, err := released(release.Box, release.Images)
	if err != nil {
		return nil, err
	}
	if ok {
		return d.boxCommand(beside.Path(release.Box), beside.Path(release.Images)), nil
	}
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
	return d.boxCommand(program, queue), nil
}

func (d *devbox) boxCommand(program, queue string) []string {
	return []string{program, "--name", d.name, "--queue", queue}
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
