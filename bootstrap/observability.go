package bootstrap

import (
	"fmt"
	"slices"
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

// WantsWatch says whether the box is to be watched: as it is asked for, and
// else as it was before. s.Box is settled.
func (s *Survey) WantsWatch() bool {
	if slices.Contains(s.Without, Observability) {
		return false
	}
	return slices.Contains(s.With, Observability) || len(s.Box.Observability) > 0
}
