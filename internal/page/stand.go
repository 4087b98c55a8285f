package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
)

const (
	askEvery = time.Second
	askLimit = 2 * time.Second
	misses   = 2 // in a row, until the box is away
)

var errAway = errors.New("the box is away")

// boxState is what the page says of the box.
type boxState struct {
	Name    string    `json:"name"`
	Engine  string    `json:"engine"`
	Gateway string    `json:"gateway"`
	Here    bool      `json:"here"`
	Why     string    `json:"why,omitempty"` // it is not
	Since   time.Time `json:"since"`
}

// stand follows the box until ctx ends: looks for it, watches it while it
// answers, and looks for it again when it does not. A box that comes back is
// watched from the beginning, since it may be another one.
func (s *Server) stand(ctx context.Context) {
	state := boxState{Why: "looking for the box", Since: time.Now()}
	say := func(why string) {
		if state.Here || state.Why != why {
			if state.Here {
				state.Since = time.Now()
			}
			state.Here, state.Why = false, why
			s.hub.put("box", state)
		}
	}
	for ctx.Err() == nil {
		box, err := s.cfg.Find()
		if err == nil {
			state.Name, state.Engine, state.Gateway = box.Name, box.Engine, box.Gateway
			err = answers(ctx, box.REST)
		}
		if err == nil {
			state.Here, state.Why, state.Since = true, "", time.Now()
			s.hub.put("box", state)
			err = s.watch(ctx, box)
		}
		if err != nil && ctx.Err() == nil {
			say(err.Error())
		}
		pause(ctx, askEvery)
	}
}

// watch shows what a box does until it ceases to answer, and says why it did.
func (s *Server) watch(ctx context.Context, box Box) error {
	s.settle(&box)
	defer s.settle(nil)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.stays(ctx, box) })
	group.Go(func() error { return s.watchServices(ctx, box) })
	group.Go(func() error { return s.watchMetrics(ctx, box) })
	return group.Wait()
}

func (s *Server) settle(box *Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.box = box
}

// stays asks the box as long as it answers and is the same.
func (s *Server) stays(ctx context.Context, box Box) error {
	for missed := 0; ; {
		pause(ctx, askEvery)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now, err := s.cfg.Find()
		if err != nil {
			return err
		}
		if now.Identity != box.Identity {
			return errors.New("it was made anew")
		}
		switch err := answers(ctx, box.REST); {
		case err == nil:
			missed = 0
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			if missed++; missed >= misses {
				return err
			}
		}
	}
}

// answers asks the API server whether it is there.
func answers(ctx context.Context, config *rest.Config) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("connecting to the box: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(config.Host, "/")+"/version", nil)
	if err != nil {
		return fmt.Errorf("connecting to the box: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("its API server does not answer: %w", cause(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("its API server answers %s", resp.Status)
	}
	return nil
}

// cause is what the system said, where it did, without who asked whom.
func cause(err error) error {
	if said, ok := errors.AsType[syscall.Errno](err); ok {
		return said
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
