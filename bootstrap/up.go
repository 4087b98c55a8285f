package bootstrap

import (
	"context"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Up brings the box up and returns when its gateway and its registry answer.
// What is there already is left as it is, what was left half-way is repaired.
// It returns a *PrerequisiteError, having created nothing, where this machine
// lacks something; a *BusyError where another Up or Down works on the box; and
// a *ClusterError where a step fails.
func (all Engines) Up(ctx context.Context, cfg Config) (*Box, error) {
	cfg = cfg.withDefaults()
	unlock, err := lock(cfg.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()

	s := &Survey{}
	defer func() { s.release() }() // by then the box has its ports, or there is none
	var steps []Step
	preflight := Step{Name: "preflight", Do: func(ctx context.Context, _ func(string)) (string, error) {
		s, steps = all.look(ctx, cfg)
		return s.preflight()
	}}
	if err := preflight.run(ctx, cfg.Name, cfg.Events); err != nil {
		return nil, err
	}
	if err := RunAll(ctx, cfg.Name, cfg.Events, steps); err != nil {
		return nil, err
	}
	s.Box.Entrance = all.named(s.Box.Engine).Enter(s.Box)
	cfg.Events.Emit(event.Event{Kind: event.BoxReady, URL: s.Box.Gateway()})
	return s.Box, nil
}
