package manifest

import (
	"maps"
	"slices"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// ranks is what must be there before what: an object may name any of a lower
// rank and finds it.
var ranks = []struct {
	rank  int
	kinds []string // by group/Kind
}{
	{0, []string{"/Namespace"}},
	{1, []string{"apiextensions.k8s.io/CustomResourceDefinition"}},
	{2, []string{"/ServiceAccount", "/ConfigMap", "/Secret", "/ResourceQuota", "/LimitRange", "/PersistentVolume", "/PersistentVolumeClaim",
		"storage.k8s.io/StorageClass", "scheduling.k8s.io/PriorityClass"}},
	{3, []string{"rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/ClusterRole"}},
	{4, []string{"rbac.authorization.k8s.io/RoleBinding", "rbac.authorization.k8s.io/ClusterRoleBinding"}},
	{5, []string{"/Service"}}, // whose address a container is told of only if it is there first
	{7, []string{"/Pod", "apps/ReplicaSet", "apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "batch/Job", "batch/CronJob"}},
	{9, []string{servingv1.GroupVersion.Group + "/Service"}},
}

// unranked is for kinds that workloads may need, as their own CRDs' objects do.
const unranked = 6

// rank is an object's place in the order.
func rank(o Object) int {
	kind := o.GroupVersionKind().Group + "/" + o.GetKind()
	for _, r := range ranks {
		if slices.Contains(r.kinds, kind) {
			return r.rank
		}
	}
	if strings.HasSuffix(kind, "WebhookConfiguration") {
		return 8 // it may call what is started before it
	}
	return unranked
}

// IsService says whether an object is a Service of the serving stack.
func IsService(o *Object) bool {
	kind := o.GroupVersionKind()
	return kind.Kind == "Service" && kind.Group == servingv1.GroupVersion.Group
}

// Gone are the keys of applied that are not among wanted, in the order to
// delete them: the reverse of that to apply.
func Gone[V any](applied map[Key]V, wanted map[Key]bool) []Key {
	gone := slices.DeleteFunc(slices.Collect(maps.Keys(applied)), func(k Key) bool { return wanted[k] })
	slices.SortFunc(gone, func(a, b Key) int {
		if d := rankOf(b) - rankOf(a); d != 0 {
			return d
		}
		return strings.Compare(a.Kind+a.Namespace+a.Name, b.Kind+b.Namespace+b.Name)
	})
	return gone
}

func rankOf(k Key) int {
	var o Object
	o.Unstructured = k.empty()
	return rank(o)
}
