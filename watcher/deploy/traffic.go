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

// rolling says by whose wish traffic moves to a revision in steps, "" where it
// does not. The words are the same for as long as it does.
func rolling(now state) string {
	if now.service == nil || now.revision == nil {
		return ""
	}
	c := now.service.Status.Condition(servingv1.ServiceRoutesReady)
	if c == nil || c.Reason != servingv1.ReasonRolloutInProgress || !slices.ContainsFunc(now.service.Status.Traffic, func(t servingv1.TrafficTarget) bool {
		return t.RevisionName == now.revision.Name && t.LatestRevision != nil && *t.LatestRevision
	}) {
		return ""
	}
	over, err := servingv1.RolloutDuration(now.service.Annotations)
	if err != nil || over == 0 {
		return "traffic moves to it in steps, as config-network's rollout-duration has it"
	}
	return fmt.Sprintf("traffic moves to it in steps over %s, as %s has it", over, servingv1.RolloutDurationAnnotation)
}
