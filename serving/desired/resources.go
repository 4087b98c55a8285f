package desired

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// queueShares bound what a percentage of the user container's resources may
// come to.
var queueShares = []struct {
	name             corev1.ResourceName
	limit            bool
	smallest, widest resource.Quantity
}{
	{corev1.ResourceCPU, false, resource.MustParse("25m"), resource.MustParse("100m")},
	{corev1.ResourceCPU, true, resource.MustParse("40m"), resource.MustParse("500m")},
	{corev1.ResourceMemory, false, resource.MustParse("50Mi"), resource.MustParse("200Mi")},
	{corev1.ResourceMemory, true, resource.MustParse("200Mi"), resource.MustParse("500Mi")},
}

// queueResources are queue-proxy's requests and limits: the default, over it
// a share of the user container's where an annotation asks for one, over it
// what an annotation says outright.
func queueResources(rev *servingv1.Revision, byDefault corev1.ResourceRequirements) corev1.ResourceRequirements {
	out := corev1.ResourceRequirements{
		Requests: merged(byDefault.Requests), Limits: merged(byDefault.Limits),
	}
	shareResources(rev, out)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		for suffix, list := range map[string]corev1.ResourceList{"request": out.Requests, "limit": out.Limits} {
			value := rev.Annotations[servingv1.QueuePrefix+string(name)+"-resource-"+suffix]
			if q, err := resource.ParseQuantity(value); err == nil {
				list[name] = q
			}
		}
	}
	if len(out.Limits) == 0 {
		out.Limits = nil
	}
	return out
}

func shareResources(rev *servingv1.Revision, out corev1.ResourceRequirements) {
	percent, err := strconv.ParseFloat(rev.Annotations[servingv1.QueuePrefix+"resource-percentage"], 64)
	serving := rev.Spec.ServingContainer()
	if err != nil || percent <= 0 || serving == nil {
		return
	}
	for _, s := range queueShares {
		from, to := serving.Resources.Requests, out.Requests
		if s.limit {
			from, to = serving.Resources.Limits, out.Limits
		}
		if whole, ok := from[s.name]; ok {
			share := *resource.NewQuantity(int64(float64(whole.Value())*percent/100), whole.Format)
			if s.name == corev1.ResourceCPU {
				share = *resource.NewMilliQuantity(int64(float64(whole.MilliValue())*percent/100), whole.Format)
			}
			if share.Cmp(s.smallest) < 0 {
				share = s.smallest
			}
			if share.Cmp(s.widest) > 0 {
				share = s.widest
			}
			to[s.name] = share
		}
	}
}
