package conformance

import (
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

const scalingArea = "Autoscaling"

var scaling = []behaviour{
	{
		area: scalingArea, name: "min-scale",
		says: "`min-scale` pods run, asked or not; changed on a Revision it counts at once",
		try: func(t *trial) {
			t.create(annotated("autoscaling.knative.dev/min-scale", "2"))
			t.ready()
			t.until("two pods answer", func() bool { return *t.revision(t.name + "-00001").Status.ActualReplicas == 2 })
			rev := t.revision(t.name + "-00001")
			before := rev.DeepCopy()
			rev.Annotations["autoscaling.knative.dev/min-scale"] = "3"
			if err := t.api.Patch(t.Context(), rev, client.MergeFrom(before)); err != nil {
				t.Fatal(err)
			}
			t.until("a third one does", func() bool { return *t.revision(t.name + "-00001").Status.ActualReplicas == 3 })
		},
	},
	{
		area: scalingArea, name: "initial-scale",
		says: "a revision is Ready when `initial-scale` pods answer, 1 where nothing is said; 0 is refused unless config-autoscaler allows it, and a request brings the first pod then",
		try: func(t *trial) {
			first := t.watchRevision(t.name + "-00001")
			t.create(annotated("autoscaling.knative.dev/initial-scale", "2"))
			if n := *first(func(r *servingv1.Revision) bool { return r.IsReady() }).Status.ActualReplicas; n != 2 {
				t.Errorf("%d pods answer when it becomes ready", n)
			}
			none := annotated("autoscaling.knative.dev/initial-scale", "0")
			t.refused("autoscaling.knative.dev/initial-scale]: must be at least 1", none)
			t.configure("config-autoscaler", "allow-zero-initial-scale", "true")
			second := t.watchRevision(t.name + "-00002")
			t.until("0 is allowed", func() bool { return t.tryEdit(none) == nil })
			if n := *second(func(r *servingv1.Revision) bool { return r.IsReady() }).Status.ActualReplicas; n != 0 {
				t.Errorf("%d pods answer when one that starts with none becomes ready", n)
			}
			t.until("it answers", func() bool { return t.answer(t.host(), "/") == "200 "+t.name+"-00002" })
		},
	},
	{
		area: scalingArea, name: "under-load",
		says: "more requests at a time than `target`: more pods, no more than `max-scale`, and back",
		try: func(t *trial) {
			t.create(annotated("autoscaling.knative.dev/target", "1"), annotated("autoscaling.knative.dev/max-scale", "3"),
				annotated("autoscaling.knative.dev/window", "6s"))
			t.ready()
			var all sync.WaitGroup
			for range 9 {
				all.Go(func() { t.expect("/sleep?first=8000", "200 begun\nended") })
			}
			t.until("there are three pods", func() bool { return len(t.pods()) == 3 })
			all.Wait()
			if n := len(t.pods()); n > 3 {
				t.Errorf("there are %d pods", n)
			}
			t.zero()
		},
	},
	{
		area: scalingArea, name: "annotations-refused",
		says: "annotations whose value is none are refused by name, and those of autoscaling on the Service's own metadata",
		try: func(t *trial) {
			for key, value := range map[string]string{"window": "1s", "target": "0", "min-scale": "-1", "max-scale": "many", "panic-window-percentage": "200"} {
				t.refused(key, annotated("autoscaling.knative.dev/"+key, value))
			}
			t.refused("autoscaling annotations belong under spec.template", func(s *servingv1.Service) {
				s.Annotations = map[string]string{"autoscaling.knative.dev/min-scale": "1"}
			})
		},
	},
}

const metadataArea = "Labels and annotations"

var metadata = []behaviour{
	{
		area: metadataArea, name: "labels",
		says: "Revisions and pods carry the labels by which tools find them: service, configuration, revision, their UIDs, `routingState`",
		try: func(t *trial) {
			t.create()
			s := t.ready()
			t.until("its routing state is active", func() bool {
				return t.revision(t.name + "-00001").Labels[servingv1.RoutingStateLabel] == "active"
			})
			rev := t.revision(t.name + "-00001")
			for key, want := range map[string]string{
				servingv1.ServiceLabel: t.name, servingv1.ServiceUIDLabel: string(s.UID), servingv1.ConfigurationLabel: t.name,
				servingv1.ConfigurationUIDLabel: string(get(t, &servingv1.Configuration{}, t.name).UID),
			} {
				if rev.Labels[key] != want {
					t.Errorf("label %s is %q, want %q", key, rev.Labels[key], want)
				}
			}
			pods := t.pods()
			if len(pods) != 1 || pods[0].Labels[servingv1.RevisionLabel] != rev.Name || pods[0].Labels["app"] == "" {
				t.Errorf("%d pods, the first with labels %v", len(pods), pods[0].Labels)
			}
			t.edit(env("A", "1"))
			t.ready()
			t.until("its routing state is reserve", func() bool { return t.revision(rev.Name).Labels[servingv1.RoutingStateLabel] == "reserve" })
		},
	},
	{
		area: metadataArea, name: "queue-resources",
		says: "`queue.sidecar.serving.knative.dev/…` annotations are queue-proxy's requests and limits",
		try: func(t *trial) {
			t.create(annotated("queue.sidecar.serving.knative.dev/cpu-resource-request", "31m"),
				annotated("queue.sidecar.serving.knative.dev/memory-resource-limit", "210Mi"))
			t.ready()
			for _, c := range t.pods()[0].Spec.Containers {
				if c.Name != servingv1.QueueContainer {
					continue
				}
				if got := fmt.Sprint(c.Resources.Requests.Cpu(), " ", c.Resources.Limits.Memory()); got != "31m 210Mi" {
					t.Errorf("queue-proxy has %s", got)
				}
				return
			}
			t.Error("there is no queue-proxy")
		},
	},
	{
		area: metadataArea, name: "client-annotations",
		says: "what `kn` writes, `client.knative.dev/…`, stays as it is, on the Service and on its revisions",
		try: func(t *trial) {
			t.create(annotated("client.knative.dev/user-image", "example.com/hello"), func(s *servingv1.Service) {
				s.Annotations = map[string]string{"client.knative.dev/user-image": "example.com/hello"}
			})
			s := t.ready()
			rev := t.revision(t.name + "-00001")
			if s.Annotations["client.knative.dev/user-image"] != "example.com/hello" || rev.Annotations["client.knative.dev/user-image"] != "example.com/hello" {
				t.Errorf("on the Service %v, on its revision %v", s.Annotations, rev.Annotations)
			}
		},
	},
	{
		area: metadataArea, name: "user-labels",
		says: "labels and annotations of the template are its pods'",
		try: func(t *trial) {
			t.create(annotated("example.com/note", "a"), func(s *servingv1.Service) {
				s.Spec.Template.Labels = map[string]string{"tier": "web"}
			})
			t.ready()
			pods := t.pods()
			if len(pods) != 1 || pods[0].Labels["tier"] != "web" || pods[0].Annotations["example.com/note"] != "a" {
				t.Errorf("%d pods: %s", len(pods), marks(pods))
			}
		},
	},
}

func marks(pods []corev1.Pod) string {
	var b strings.Builder
	for _, p := range pods {
		fmt.Fprintln(&b, p.Labels, p.Annotations)
	}
	return b.String()
}
