package deploy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// inForce says whether the gateway switches to the latest revision of a Service
// as the API server has it: somebody else may own its traffic.
func inForce(u *unstructured.Unstructured) (bool, error) {
	var s servingv1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &s); err != nil {
		return false, fmt.Errorf("reading the Service %s: %w", u.GetName(), err)
	}
	return followsLatest(s.Spec.Traffic), nil
}

// followsLatest says whether the largest share of the traffic goes to the
// latest revision, as it does where nothing is said.
func followsLatest(traffic []servingv1.TrafficTarget) bool {
	if len(traffic) == 0 {
		return true
	}
	var latest, pinned int64
	for _, t := range traffic {
		share := int64(0)
		if t.Percent != nil {
			share = *t.Percent
		}
		if t.RevisionName == "" {
			latest += share
		} else {
			pinned = max(pinned, share)
		}
	}
	return latest > pinned
}

// pinned says of a Service whose latest revision does not get most of the
// traffic where that goes, and what lets it go where somebody holds it.
func (d *Deployer) pinned(s *servingv1.Service) (words, hint string) {
	words = elsewhere(s.Spec.Traffic)
	if Held(s) {
		words = strings.Replace(words, "traffic:", "traffic, which is held:", 1)
		hint = "`" + d.command("hold --release "+s.Name) + "` gives the traffic to the latest revision"
	}
	return words, hint
}

// elsewhere says where the traffic of a Service goes, if most of it does not go
// to its latest revision.
func elsewhere(traffic []servingv1.TrafficTarget) string {
	var shares []string
	latest := int64(0)
	for _, t := range traffic {
		switch {
		case t.Percent == nil || *t.Percent == 0:
		case t.RevisionName == "":
			latest += *t.Percent
		default:
			shares = append(shares, fmt.Sprintf("%d%% to %s", *t.Percent, t.RevisionName))
		}
	}
	return fmt.Sprintf("it gets %d%% of the traffic: spec.traffic gives %s", latest, strings.Join(shares, ", "))
}

// mostPinned is the revision to which traffic gives more than to any other, of
// those that it names.
func mostPinned(traffic []servingv1.TrafficTarget) string {
	name, most := "", int64(0)
	for _, t := range traffic {
		if share := percent(t); t.RevisionName != "" && share > most {
			name, most = t.RevisionName, share
		}
	}
	return name
}

// rolling says by whose wish traffic moves to a revision in steps, "" where it
// does not. The words are the same for as long as it does.
func rolling(now state) string {
	if now.service == nil || now.revision == nil {
		return ""
	}
	c := now.service.Status.Condition(servingv1.ServiceRoutesReady)
	if c == nil || c.Reason != servingv1.ReasonRolloutInProgress || !slices.ContainsFunc(now.service.Status.Traffic, func(t servingv1.TrafficTarget) bool {
		return t.RevisionName == now.revision.Name && isLatest(t)
	}) {
		return ""
	}
	over, err := servingv1.RolloutDuration(now.service.Annotations)
	if err != nil || over == 0 {
		return "traffic moves to it in steps, as config-network's rollout-duration has it"
	}
	return fmt.Sprintf("traffic moves to it in steps over %s, as %s has it", over, servingv1.RolloutDurationAnnotation)
}
