package bootstrap

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

// Observability is the word for the parts that watch a box: Prometheus, Zipkin
// and Grafana.
const Observability = "observability"

// WatchNamespace is where those parts run. charts/istio knows Zipkin there.
const WatchNamespace = "devbox-observability"

// Unwatched says what there is without the parts that watch a box.
const Unwatched = "`devbox ui` shows the same panels from the box's own numbers, without them"

// Address is where a part that watches the box answers, by its name.
func (b *Box) Address(part string) string {
	return fmt.Sprintf("http://%s.localhost:%d", part, b.HTTPPort)
}

// Addresses are those of all parts that watch the box.
func (b *Box) Addresses() string {
	all := make([]string, len(b.Observability))
	for i, part := range b.Observability {
		all[i] = b.Address(string(part))
	}
	return strings.Join(all, " ")
}

// WantsWatch says whether the box is to be watched: as it is asked for, and
// else as it was before. s.Box is settled.
func (s *Survey) WantsWatch() bool {
	if slices.Contains(s.Without, Observability) {
		return false
	}
	return slices.Contains(s.With, Observability) || len(s.Box.Observability) > 0
}

// SettleParts says which parts will watch the box: those whose images can be
// had. Without one the box comes up all the same. s.Box is settled, with the
// images that it is given.
func (s *Survey) SettleParts(ctx context.Context) (parts []images.Role) {
	if !s.WantsWatch() {
		return nil
	}
	if s.There && len(s.Box.Observability) > 0 && s.ImagesDir == "" && len(s.With) == 0 {
		return s.Box.Observability // as they were made
	}
	set, err := s.Box.Images.Complete()
	if err != nil {
		s.Add(Observability, Fail, err.Error(), "give the directory again with --images, or use --without "+Observability)
		return nil
	}
	var missing []string
	for _, r := range images.Observability {
		if set.Ref(r) == "" {
			missing = append(missing, string(r))
			continue
		}
		parts = append(parts, r)
	}
	switch {
	case len(parts) == 0:
		s.Add(Observability, Warn, fmt.Sprintf("no image of %s in %s", strings.Join(missing, ", "), set.Layout),
			Unwatched+"; `make lab` in devbox's source makes a directory that has two of them")
		return nil
	case len(missing) > 0:
		s.Add(Observability, Warn, fmt.Sprintf("no image of %s in %s", strings.Join(missing, ", "), set.Layout), Unwatched)
	}
	if set.Layout == "" && !slices.Equal(parts, s.Box.Observability) && !s.reachParts(ctx, set, parts) {
		return nil
	}
	s.Box.Images = set
	s.Add(Observability, OK, "with "+JoinRoles(parts), "")
	return parts
}

// reachParts looks whether the registries of the parts' images answer.
func (s *Survey) reachParts(ctx context.Context, set images.Set, parts []images.Role) bool {
	refs := make([]string, len(parts))
	for i, r := range parts {
		refs[i] = set.Ref(r)
	}
	err := images.Reachable(ctx, http.DefaultTransport, refs...)
	if err != nil {
		s.Add(Observability, Warn, fmt.Sprintf("%s cannot be fetched: %v", JoinRoles(parts), err), Unwatched)
	}
	return err == nil
}

// JoinRoles are the names of images, in words.
func JoinRoles(roles []images.Role) string {
	said := make([]string, len(roles))
	for i, r := range roles {
		said[i] = string(r)
	}
	return strings.Join(said, ", ")
}
