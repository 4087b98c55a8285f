package build

import (
	"context"
	"errors"
	"maps"

	"github.com/kind-in-a-box/devbox/watcher/build/recipe"
)

// foresight is a program on its way before anybody has asked for it.
type foresight struct {
	of     *known
	now    recipe.State // what the files hold that it is made of
	cancel context.CancelFunc

	ended chan struct{} // closed when there is what follows
	made  recipe.Made
	err   error
}

// Foresee makes the program of what the files hold now, where that takes no go
// command, and until ctx ends. A Build that finds the same in the files has it
// from there; one that finds anything else ends it. What goes wrong is Build's
// to say.
func (b *Builder) Foresee(ctx context.Context, dir, importPath string) {
	if b.memory == nil {
		return
	}
	cfg, err := b.config(dir)
	if err != nil {
		return
	}
	t := target{dir, importPath}
	b.memory.mu.Lock()
	k, _ := b.memory.recall(t, cfg.how(importPath))
	b.memory.mu.Unlock()
	if k == nil {
		return
	}
	why, now := k.recipe.Why(func(path string) string { return path })
	if why != "" {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &foresight{of: k, now: now, cancel: cancel, ended: make(chan struct{})}
	defer close(f.ended)
	if !b.memory.foresee(t, f) {
		return
	}
	if f.made, f.err = k.program(ctx, now); ctx.Err() != nil {
		f.err = errUnforeseen
	}
}

// errUnforeseen says that what a Build finds is not what was foreseen.
var errUnforeseen = errors.New("it was not foreseen")

// foresee puts f in the place of what was foreseen before it.
func (m *memory) foresee(t target, f *foresight) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	if before := m.ahead[t]; before != nil {
		before.cancel()
	}
	m.ahead[t] = f
	return true
}

// foreseen is the program of what the files hold, if it is on its way.
func (m *memory) foreseen(ctx context.Context, t target, k *known, now recipe.State) (recipe.Made, error) {
	m.mu.Lock()
	f := m.ahead[t]
	delete(m.ahead, t)
	m.mu.Unlock()
	switch {
	case f == nil:
		return recipe.Made{}, errUnforeseen
	case f.of != k || !maps.Equal(f.now, now):
		f.cancel()
		return recipe.Made{}, errUnforeseen
	}
	select {
	case <-f.ended:
		return f.made, f.err
	case <-ctx.Done():
		f.cancel()
		return recipe.Made{}, context.Cause(ctx)
	}
}
