package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Down removes the box of that name with all that belongs to it, also what
// devbox made for it elsewhere on this machine, and its folder with the
// kubeconfig. It is well when there is no such box.
func (all Engines) Down(ctx context.Context, name string, sink event.Sink) error {
	if name == "" {
		name = DefaultName
	}
	unlock, err := lock(name)
	if err != nil {
		return err
	}
	defer removeRoot()
	defer unlock()
	return Step{Name: "down", Do: func(ctx context.Context, say func(string)) (string, error) {
		return all.down(ctx, name, say)
	}}.run(ctx, name, sink)
}

func (all Engines) down(ctx context.Context, name string, say func(string)) (string, error) {
	box, err := read(name)
	if err != nil {
		return "", err
	}
	if box == nil {
		return all.downRest(ctx, name, say)
	}
	engine := all.named(box.Engine)
	if engine == nil {
		return "", fmt.Errorf("box %s is of engine %s, which this devbox does not have", name, box.Engine)
	}
	if err := engine.Down(ctx, box, say); err != nil {
		return "", err
	}
	return removed(box)
}

// downRest removes what is left of a box whose record is gone, of whatever
// engine it was.
func (all Engines) downRest(ctx context.Context, name string, say func(string)) (string, error) {
	dir, err := dirOf(name)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("there is no box %q", name), nil
	}
	for _, engine := range all {
		if engine.Ready(ctx) != nil {
			continue
		}
		if err := engine.Down(ctx, NewBox(name, engine.Name(), dir), say); err != nil {
			return "", err
		}
	}
	return removed(NewBox(name, "", dir))
}

// removed removes the folder of a box that has nothing else any more.
func removed(box *Box) (string, error) {
	if err := os.RemoveAll(box.Dir()); err != nil {
		return "", fmt.Errorf("removing the folder of box %s: %w", box.Name, err)
	}
	return fmt.Sprintf("nothing left of box %q", box.Name), nil
}

// removeRoot removes the folder of all boxes when it holds nothing.
func removeRoot() {
	if dir, err := Root(); err == nil {
		_ = os.Remove(dir) // fails, as it should, when there is something in it
	}
}
