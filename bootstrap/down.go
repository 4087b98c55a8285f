package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
	"github.com/kind-in-a-box/devbox/bootstrap/kind"
	"github.com/kind-in-a-box/devbox/internal/event"
)

// Down removes the box of that name with all that belongs to it: container,
// volumes, the network that devbox made for it, and its folder with the
// kubeconfig. It is well when there is no such box.
func Down(ctx context.Context, name string, sink event.Sink) error {
	if name == "" {
		name = DefaultName
	}
	unlock, err := lock(name)
	if err != nil {
		return err
	}
	defer removeRoot()
	defer unlock()
	return step{name: "down", do: func(ctx context.Context, say func(string)) (string, error) {
		return down(ctx, name, say)
	}}.run(ctx, sink)
}

func down(ctx context.Context, name string, say func(string)) (string, error) {
	box, err := read(name)
	if err != nil {
		return "", err
	}
	if box == nil {
		dir, err := dirOf(name)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("there is no box %q", name), nil
		}
		box = newBox(name, engineEmbedded, dir) // what is left of a folder needs no more than this
	}
	remove := downKind
	if box.Engine == engineEmbedded {
		remove = downEmbedded
	}
	if err := remove(ctx, box, say); err != nil {
		return "", err
	}
	if err := os.RemoveAll(box.dir()); err != nil {
		return "", fmt.Errorf("removing the folder of box %s: %w", name, err)
	}
	return fmt.Sprintf("nothing left of box %q", name), nil
}

// downEmbedded ends the box's process, and with it every process of its pods.
func downEmbedded(ctx context.Context, box *Box, say func(string)) error {
	running, err := process.Find(ctx, box.dir())
	if err != nil {
		return err
	}
	if running != nil {
		say(fmt.Sprintf("ending the box's process %d", running.PID))
		if err := running.Stop(ctx); err != nil {
			return err
		}
	}
	return embedded.Remove(box.data())
}

// downKind removes the cluster, and the network that was made for it.
func downKind(ctx context.Context, box *Box, say func(string)) error {
	spec := box.spec()
	cluster := kind.New(box.Name)
	state, err := cluster.State(ctx, &spec)
	if err != nil {
		return unreachable(err)
	}
	switch state {
	case kind.Running, kind.Stopped:
		say("removing the cluster")
		if err := cluster.Delete(ctx); err != nil {
			return err
		}
	case kind.Foreign:
		say(fmt.Sprintf("leaving kind cluster %q, which devbox did not make", box.Name))
	}
	return releaseNetwork(ctx)
}

// unreachable is a *PrerequisiteError where err says that docker is out of
// reach, so that the box cannot be removed.
func unreachable(err error) error {
	for _, why := range []error{docker.ErrMissing, docker.ErrPermission, docker.ErrStopped} {
		if errors.Is(err, why) {
			return &PrerequisiteError{Findings: []Finding{{
				Name: "docker", Level: Fail,
				Message: why.Error() + ", so the box cannot be removed",
				Hint:    "`devbox doctor` says more",
			}}}
		}
	}
	return err
}

// networkMark is the file that says that devbox made kind's docker network,
// which all kind clusters share.
func networkMark() (string, error) {
	dir, err := root()
	return filepath.Join(dir, "made-kind-network"), err
}

// claimNetwork notes that kind's network will be devbox's work, where there
// is none yet.
func claimNetwork(ctx context.Context) error {
	there, err := kind.NetworkExists(ctx)
	if err != nil || there {
		return err
	}
	mark, err := networkMark()
	if err != nil {
		return err
	}
	return writePrivate(mark, nil)
}

// releaseNetwork removes kind's network if devbox made it and nobody uses it
// any more.
func releaseNetwork(ctx context.Context) error {
	mark, err := networkMark()
	if err != nil {
		return err
	}
	if _, err := os.Stat(mark); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	removed, err := kind.RemoveUnusedNetwork(ctx)
	if err != nil || !removed {
		return err
	}
	return os.Remove(mark)
}

// removeRoot removes the folder of all boxes when it holds nothing.
func removeRoot() {
	if dir, err := root(); err == nil {
		_ = os.Remove(dir) // fails, as it should, when there is something in it
	}
}
