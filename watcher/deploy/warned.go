package deploy

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The reasons of events that say what no status does: of the embedded engine's
// node, where a container listens instead of on $PORT, and of any, which volume
// cannot be had.
const (
	notListening = "NotListening"
	failedMount  = "FailedMount"
)

// warned is what the first of the revision's pods was warned of, by the reasons of
// the events. None is better than a wait for it.
func (w *waiting) warned(ctx context.Context) map[string]string {
	pods := standing(w.now.pods)
	if len(pods) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	var events corev1.EventList
	about := client.MatchingFields{"involvedObject.uid": string(pods[0].UID), "type": corev1.EventTypeWarning}
	if err := w.client.List(ctx, &events, client.InNamespace(pods[0].Namespace), about); err != nil {
		return nil
	}
	said := map[string]string{}
	for _, e := range events.Items {
		said[e.Reason] = e.Message
	}
	return said
}
