package deploy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// HeldAnnotation is on a Service whose traffic is held: an Apply leaves
// spec.traffic alone, whatever the manifest says. Its value is the spec.traffic
// of before, in JSON.
const HeldAnnotation = "kind-in-a-box.github.io/held"

// holdOwner owns what a hold says, so that it goes whole when it is released.
const holdOwner = client.FieldOwner("devbox-hold")

// ErrNeverReady says of a Service that it has served nothing yet.
var ErrNeverReady = errors.New("no revision has been ready yet")

// ErrNoneBefore says that a Service has no revision to go back to.
var ErrNoneBefore = errors.New("no revision before the one that serves has been ready")

// Held says whether the traffic of a Service is held.
func Held(s *servingv1.Service) bool {
	_, held := s.Annotations[HeldAnnotation]
	return held
}

// Serving is the revision that gets most of a Service's traffic now, "" where
// none gets any.
func Serving(s *servingv1.Service) string {
	return mostPinned(s.Status.Traffic)
}

// Wanted is the revision that is to get most of it, by what the Service says.
func Wanted(s *servingv1.Service) string {
	if follows(s.Spec.Traffic, "") {
		return s.Status.LatestReadyRevisionName
	}
	return mostPinned(s.Spec.Traffic)
}

// neverReady says that there is nowhere yet for a Service's traffic to go.
func neverReady(s *servingv1.Service) bool {
	return s.Status.LatestReadyRevisionName == "" && Serving(s) == ""
}

// Hold keeps what serves a Service now from being replaced: each share of the
// traffic stays with the revision that has it.
func Hold(ctx context.Context, c client.Client, s *servingv1.Service) error {
	if Serving(s) == "" {
		return ErrNeverReady
	}
	var traffic []servingv1.TrafficTarget
	for _, t := range s.Status.Traffic {
		traffic = append(traffic, servingv1.TrafficTarget{Tag: t.Tag, RevisionName: t.RevisionName, LatestRevision: new(false), Percent: t.Percent})
	}
	return pin(ctx, c, s, traffic)
}

// Rollback gives all traffic of a Service to one of its revisions, and holds it
// there. Tags stay as they are.
func Rollback(ctx context.Context, c client.Client, s *servingv1.Service, revision string) error {
	return Divide(ctx, c, s, Split{Shares: []Share{{To: revision, Percent: 100}}})
}

// Release lets the traffic of a Service go where it went before it was held: to
// the latest revision, if nobody has said otherwise. Before any has been ready it
// is ErrNeverReady.
func Release(ctx context.Context, c client.Client, s *servingv1.Service) error {
	if neverReady(s) {
		return ErrNeverReady
	}
	var before []servingv1.TrafficTarget
	if err := json.Unmarshal([]byte(cmp.Or(s.Annotations[HeldAnnotation], "null")), &before); err != nil {
		return fmt.Errorf("reading the annotation %s of %s: %w", HeldAnnotation, s.Name, err)
	}
	return held(ctx, c, s, nil, before)
}

// Previous is the newest ready revision before the one that serves a Service.
func Previous(ctx context.Context, c client.Client, s *servingv1.Service) (string, error) {
	serving := Serving(s)
	if serving == "" {
		return "", ErrNeverReady
	}
	var list servingv1.RevisionList
	if err := c.List(ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels{servingv1.ServiceLabel: s.Name}); err != nil {
		return "", fmt.Errorf("listing the revisions of %s: %w", s.Name, err)
	}
	all := list.Items
	slices.SortFunc(all, func(a, b servingv1.Revision) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	at := slices.IndexFunc(all, func(r servingv1.Revision) bool { return r.Name == serving })
	for i := at - 1; i >= 0; i-- {
		if all[i].IsReady() {
			return all[i].Name, nil
		}
	}
	return "", ErrNoneBefore
}

// pin makes the traffic of a Service this one, and remembers what was before the
// first pin.
func pin(ctx context.Context, c client.Client, s *servingv1.Service, traffic []servingv1.TrafficTarget) error {
	before, remembered := s.Annotations[HeldAnnotation]
	if !remembered {
		var err error
		if before, err = written(s.Spec.Traffic); err != nil {
			return err
		}
	}
	return held(ctx, c, s, map[string]string{HeldAnnotation: before}, traffic)
}

// remember makes traffic what a release of a held Service gives.
func remember(ctx context.Context, c client.Client, s *servingv1.Service, traffic []servingv1.TrafficTarget) error {
	before, err := written(traffic)
	if err != nil || before == s.Annotations[HeldAnnotation] {
		return err
	}
	return held(ctx, c, s, map[string]string{HeldAnnotation: before}, s.Spec.Traffic)
}

// written is traffic as the annotation has it: nothing, where nobody has said any.
func written(traffic []servingv1.TrafficTarget) (string, error) {
	if isDefault(traffic) {
		traffic = []servingv1.TrafficTarget{}
	}
	data, err := json.Marshal(traffic)
	if err != nil {
		return "", fmt.Errorf("writing down the traffic: %w", err)
	}
	return string(data), nil
}

// held makes annotations and traffic all that a hold says of a Service. Forced,
// so that it takes spec.traffic over from a manifest that names it too.
func held(ctx context.Context, c client.Client, s *servingv1.Service, annotations map[string]string, traffic []servingv1.TrafficTarget) error {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(servingv1.Kind("Service"))
	u.SetNamespace(s.Namespace)
	u.SetName(s.Name)
	u.SetAnnotations(annotations)
	if len(traffic) > 0 {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&servingv1.Service{Spec: servingv1.ServiceSpec{RouteSpec: servingv1.RouteSpec{Traffic: traffic}}})
		if err != nil {
			return fmt.Errorf("encoding the traffic of %s: %w", s.Name, err)
		}
		targets, _, _ := unstructured.NestedSlice(content, "spec", "traffic")
		if err := unstructured.SetNestedSlice(u.Object, targets, "spec", "traffic"); err != nil {
			return fmt.Errorf("encoding the traffic of %s: %w", s.Name, err)
		}
	}
	return again(ctx, func() error {
		return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), holdOwner, client.ForceOwnership)
	})
}

// isDefault says whether traffic is what a Service has that says nothing of it.
func isDefault(traffic []servingv1.TrafficTarget) bool {
	return len(traffic) == 0 || len(traffic) == 1 && traffic[0].RevisionName == "" && traffic[0].Tag == ""
}

func percent(t servingv1.TrafficTarget) int64 {
	if t.Percent == nil {
		return 0
	}
	return *t.Percent
}
