package deploy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// inForce says whether the gateway switches to a revision that comes of a Service
// as the API server has it: somebody else may own its traffic.
func inForce(u *unstructured.Unstructured) (bool, error) {
	var s servingv1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &s); err != nil {
		return false, fmt.Errorf("reading the Service %s: %w", u.GetName(), err)
	}
	return follows(s.Spec.Traffic, ""), nil
}

// follows says whether the largest share of the traffic goes to the latest
// revision, as it does where nothing is said. A share that is given to it by name
// counts as its own.
func follows(traffic []servingv1.TrafficTarget, latest string) bool {
	if len(traffic) == 0 {
		return true
	}
	var own, pinned int64
	for _, t := range traffic {
		if goesTo(t, latest) {
			own += percent(t)
		} else {
			pinned = max(pinned, percent(t))
		}
	}
	return own > pinned
}

// goesTo says whether a share is the latest revision's, by name or as the latest.
func goesTo(t servingv1.TrafficTarget, latest string) bool {
	return t.RevisionName == "" || t.RevisionName == latest
}

// pinned says of a Service whose latest revision, by this name, does not get most of the
// traffic where that goes, and what lets it go where somebody holds it.
func (d *Deployer) pinned(s *servingv1.Service, latest string) (words, hint string) {
	words = elsewhere(s.Spec.Traffic, latest)
	if Held(s) {
		words = strings.Replace(words, "traffic:", "traffic, which is held:", 1)
		hint = "`" + d.command("hold --release "+s.Name) + "` gives the traffic to the latest revision"
	}
	return words, hint
}

// elsewhere says where the traffic of a Service goes, if most of it does not go
// to its latest revision.
func elsewhere(traffic []servingv1.TrafficTarget, latest string) string {
	var shares []string
	own := int64(0)
	for _, t := range traffic {
		switch {
		case percent(t) == 0:
		case goesTo(t, latest):
			own += percent(t)
		default:
			shares = append(shares, fmt.Sprintf("%d%% to %s", *t.Percent, t.RevisionName))
		}
	}
	return fmt.Sprintf("it gets %d%% of the traffic: spec.traffic gives %s", own, strings.Join(shares, ", "))
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
