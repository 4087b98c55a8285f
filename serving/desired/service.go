package desired

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Configuration is the half of a Service that makes revisions.
func Configuration(s *servingv1.Service) *servingv1.Configuration {
	return &servingv1.Configuration{
		TypeMeta:   typeMeta("Configuration"),
		ObjectMeta: serviceChild(s),
		Spec:       *s.Spec.ConfigurationSpec.DeepCopy(),
	}
}

// Route is the half of a Service that splits traffic. A target that names no
// revision follows the Service's own Configuration.
func Route(s *servingv1.Service) *servingv1.Route {
	route := &servingv1.Route{
		TypeMeta:   typeMeta("Route"),
		ObjectMeta: serviceChild(s),
		Spec:       *s.Spec.RouteSpec.DeepCopy(),
	}
	if len(route.Spec.Traffic) == 0 {
		route.Spec.Traffic = []servingv1.TrafficTarget{{Percent: new(int64(100))}}
	}
	route.SetDefaults()
	for i := range route.Spec.Traffic {
		if t := &route.Spec.Traffic[i]; t.RevisionName == "" {
			t.ConfigurationName = s.Name
		}
	}
	return route
}

func serviceChild(s *servingv1.Service) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        s.Name,
		Namespace:   s.Namespace,
		Annotations: handedDown(s.Annotations),
		Labels: merged(s.Labels, map[string]string{
			servingv1.ServiceLabel:    s.Name,
			servingv1.ServiceUIDLabel: string(s.UID),
		}),
		OwnerReferences: ownedBy(s, "Service"),
	}
}
