package kind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/docker"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
)

// Down removes the cluster, and the network that was made for it.
func (Engine) Down(ctx context.Context, box *bootstrap.Box, say func(string)) error {
	node := cluster.New(box.Name)
	state, err := node.State(ctx, new(spec(box)))
	if err != nil {
		return unreachable(err)
	}
	switch state {
	case cluster.Running, cluster.Stopped:
		say("removing the cluster")
		if err := node.Delete(ctx); err != nil {
			return err
		}
	case cluster.Foreign:
		say(fmt.Sprintf("leaving kind cluster %q, which devbox did not make", box.Name))
	}
	return releaseNetwork(ctx)
}

// unreachable is a *PrerequisiteError where err says that docker is out of
// reach, so that the box cannot be removed.
func unreachable(err error) error {
	for _, why := range []error{docker.ErrMissing, docker.ErrPermission, docker.ErrStopped} {
		if errors.Is(err, why) {
			return &bootstrap.PrerequisiteError{Findings: []bootstrap.Finding{{
				Name: "docker", Level: bootstrap.Fail,
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
	dir, err := bootstrap.Root()
	return filepath.Join(dir, "made-kind-network"), err
}

// claimNetwork notes that kind's network will be devbox's work, where there
// is none yet.
func claimNetwork(ctx context.Context) error {
	there, err := cluster.NetworkExists(ctx)
	if err != nil || there {
		return err
	}
	mark, err := networkMark()
	if err != nil {
		return err
	}
	return bootstrap.WritePrivate(mark, nil)
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
	removed, err := cluster.RemoveUnusedNetwork(ctx)
	if err != nil || !removed {
		return err
	}
	return os.Remove(mark)
}
