package images

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"
)

// reachTimeout is how long a container registry may take to say anything.
const reachTimeout = 5 * time.Second

// UnreachableError says that container registries which hold wanted images
// did not answer.
type UnreachableError struct {
	Registries []string
	Err        error // why the first did not
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", strings.Join(e.Registries, ", "), e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Reachable asks the container registries of the given images for any answer,
// in parallel, and returns an *UnreachableError naming those that gave none.
func Reachable(ctx context.Context, transport http.RoundTripper, refs ...string) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	registries, err := registriesOf(refs)
	if err != nil {
		return err
	}
	errs := make([]error, len(registries))
	var g errgroup.Group
	for i, r := range registries {
		g.Go(func() error { errs[i] = answers(ctx, transport, r); return nil })
	}
	_ = g.Wait() // every error is in errs
	var mute []string
	for i, r := range registries {
		if errs[i] != nil {
			mute = append(mute, strings.TrimPrefix(r.RegistryStr(), "index.")) // docker.io, as people know it
		}
	}
	if len(mute) == 0 {
		return nil
	}
	return &UnreachableError{Registries: mute, Err: errors.Join(errs...)}
}

func registriesOf(refs []string) ([]name.Registry, error) {
	var registries []name.Registry
	for _, ref := range refs {
		parsed, err := name.ParseReference(ref)
		if err != nil {
			return nil, fmt.Errorf("reading image name: %w", err)
		}
		registries = append(registries, parsed.Context().Registry)
	}
	slices.SortFunc(registries, func(a, b name.Registry) int { return strings.Compare(a.RegistryStr(), b.RegistryStr()) })
	return slices.Compact(registries), nil
}

// answers takes any status for an answer: most registries refuse strangers.
func answers(ctx context.Context, transport http.RoundTripper, r name.Registry) error {
	url := fmt.Sprintf("%s://%s/v2/", r.Scheme(), r.RegistryStr())
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
