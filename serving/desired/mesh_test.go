package desired_test

import (
	"testing"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

func TestInjected(t *testing.T) {
	const inject = "sidecar.istio.io/inject"
	type words = map[string]string
	for name, c := range map[string]struct {
		namespace, labels, annotations words
		want                           bool
	}{
		"nobody asks":                         {},
		"the namespace":                       {namespace: words{"istio-injection": "enabled"}, want: true},
		"the namespace, by revision":          {namespace: words{"istio.io/rev": "default"}, want: true},
		"the pod alone":                       {labels: words{inject: "true"}, want: true},
		"the pod alone, by annotation":        {annotations: words{inject: "true"}},
		"not this pod":                        {namespace: words{"istio-injection": "enabled"}, labels: words{inject: "false"}},
		"not this pod, by annotation":         {namespace: words{"istio-injection": "enabled"}, annotations: words{inject: "false"}},
		"the pod, in a namespace that is out": {namespace: words{"istio-injection": "disabled"}, labels: words{inject: "true"}},
	} {
		rev := &servingv1.Revision{}
		rev.Labels, rev.Annotations = c.labels, c.annotations
		if got := desired.Injected(c.namespace, rev); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
