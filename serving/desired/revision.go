package desired

import (
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Routing states of a revision, as its label has them.
const (
	RoutingPending = "pending" // the newest revision, before any route names it
	RoutingActive  = "active"  // some route names it
	RoutingReserve = "reserve" // no route names it
)

// RevisionName is the name of the revision that c's template makes: the one
// the template brings, or one made from c's generation.
func RevisionName(c *servingv1.Configuration) string {
	if name := c.Spec.Template.Name; name != "" {
		return name
	}
	return servingv1.RevisionName(c.Name, c.Generation)
}

// Revision is the snapshot of c's template. Of c's own metadata nothing comes
// with it: a revision is made of its template, with every default filled in,
// so that a later default of ours does not change what it means.
func Revision(c *servingv1.Configuration, defaults servingv1.Defaults, now time.Time) *servingv1.Revision {
	t := c.Spec.Template
	annotations := merged(t.Annotations, map[string]string{
		servingv1.RoutingStateModified: now.UTC().Format(time.RFC3339),
	})
	// Who last touched the template is who made the revision.
	if by := c.Annotations[servingv1.LastModifierAnnotation]; by != "" {
		annotations[servingv1.CreatorAnnotation] = by
	}
	labels := merged(t.Labels, map[string]string{
		servingv1.ConfigurationLabel:           c.Name,
		servingv1.ConfigurationGenerationLabel: strconv.FormatInt(c.Generation, 10),
		servingv1.ConfigurationUIDLabel:        string(c.UID),
		servingv1.RoutingStateLabel:            RoutingPending,
	})
	for _, l := range []string{servingv1.ServiceLabel, servingv1.ServiceUIDLabel} {
		// Kept even when empty, as Knative does: a selector for revisions of
		// no Service matches it.
		labels[l] = c.Labels[l]
	}
	rev := &servingv1.Revision{
		TypeMeta: typeMeta("Revision"),
		ObjectMeta: metav1.ObjectMeta{
			Name:            RevisionName(c),
			Namespace:       c.Namespace,
			Labels:          labels,
			Annotations:     annotations,
			OwnerReferences: ownedBy(c, "Configuration"),
		},
		Spec: *t.Spec.DeepCopy(),
	}
	rev.Spec.SetDefaultsOf(defaults)
	return rev
}
