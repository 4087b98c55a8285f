package conformance

import (
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

const statusArea = "Status"

var conditions = []behaviour{
	{
		area: statusArea, name: "becomes-ready",
		says: "a Service is Ready when its Configuration and its Route are, for the generation that it observed",
		try: func(t *trial) {
			t.create()
			s := t.ready()
			for _, c := range []servingv1.ConditionType{servingv1.ConditionReady, servingv1.ServiceConfigurationsReady, servingv1.ServiceRoutesReady} {
				if got := say(s.Status.Condition(c)); got != "True" {
					t.Errorf("%s is %q", c, got)
				}
			}
			if s.Status.ObservedGeneration != s.Generation || s.Status.LatestReadyRevisionName != t.name+"-00001" {
				t.Errorf("generation %d, observed %d; latest ready %q", s.Generation, s.Status.ObservedGeneration, s.Status.LatestReadyRevisionName)
			}
			t.expect("/", "200 "+t.name+"-00001")
		},
	},
	{
		area: statusArea, name: "crashes",
		says: "a container that ends: the Revision's `ContainerHealthy` is False with `ExitCode`*n* and its last words, Configuration and Service are `RevisionFailed`",
		try: func(t *trial) {
			t.create(env("EXIT", "7"))
			comes(t, &servingv1.Revision{}, t.name+"-00001", ofRevision, servingv1.RevisionContainerHealthy, "False ExitCode7 Container failed with: it ends on purpose")
			comes(t, &servingv1.Configuration{}, t.name, ofConfiguration, servingv1.ConditionReady, "False RevisionFailed Revision \""+t.name+"-00001\" failed with message: Container failed with: it ends on purpose")
			comes(t, &servingv1.Service{}, t.name, ofService, servingv1.ConditionReady, "False RevisionFailed")
			comes(t, &servingv1.Service{}, t.name, ofService, servingv1.ServiceRoutesReady, "False RevisionMissing Configuration \""+t.name+"\" does not have any ready Revision.")
		},
	},
	{
		area: statusArea, name: "failed-edit",
		says: "a revision that fails takes no traffic: the one before it goes on serving, and the Service says why it is not Ready",
		try: func(t *trial) {
			t.create()
			t.ready()
			t.edit(env("EXIT", "1"))
			comes(t, &servingv1.Service{}, t.name, ofService, servingv1.ConditionReady, "False RevisionFailed")
			s := t.service()
			if s.Status.LatestCreatedRevisionName != t.name+"-00002" || s.Status.LatestReadyRevisionName != t.name+"-00001" {
				t.Errorf("latest created %q, latest ready %q", s.Status.LatestCreatedRevisionName, s.Status.LatestReadyRevisionName)
			}
			t.expect("/", "200 "+t.name+"-00001")
		},
	},
	{
		area: statusArea, name: "sidecar-crashes",
		says: "a container beside the serving one that ends again and again: the Revision is not Ready, with that container's exit code",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				main, side := *container(s), *container(s)
				main.Name, main.Ports = "main", []servingv1.ContainerPort{{ContainerPort: 8080}}
				side.Name, side.Env = "side", []servingv1.EnvVar{{Name: "EXIT", Value: "3"}}
				s.Spec.Template.Spec.Containers = []servingv1.Container{main, side}
				annotated("autoscaling.knative.dev/min-scale", "1")(s)
			})
			comes(t, &servingv1.Revision{}, t.name+"-00001", ofRevision, servingv1.ConditionReady, "False ExitCode3 Container failed with: it ends on purpose")
			if traffic := t.service().Status.Traffic; len(traffic) != 0 {
				t.Errorf("traffic has moved to it: %+v", traffic)
			}
		},
	},
	{
		area: statusArea, name: "image-missing",
		says: "an image that is not there: `ContainerHealthy` is False, `ContainerMissing`, with the registry's words",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				c := container(s)
				c.Image = strings.SplitN(c.Image, "@", 2)[0] + ":no-such-tag"
			})
			comes(t, &servingv1.Revision{}, t.name+"-00001", ofRevision, servingv1.RevisionContainerHealthy, "False ContainerMissing Unable to fetch image")
		},
	},
	{
		area: statusArea, name: "too-late",
		says: "`serving.knative.dev/progress-deadline`: a revision that has not answered by then is `ProgressDeadlineExceeded`; the default is 600 s",
		try: func(t *trial) {
			t.create(env("DEAF", "yes"), annotated(servingv1.ProgressDeadlineAnnotation, "3s"))
			comes(t, &servingv1.Revision{}, t.name+"-00001", ofRevision, servingv1.RevisionResourcesAvailable, "False ProgressDeadlineExceeded No pod has answered within 3s (annotation serving.knative.dev/progress-deadline)")
		},
	},
	{
		area: statusArea, name: "revision-missing",
		says: "traffic to a revision that is not there: `AllTrafficAssigned` and the Service's `RoutesReady` are False, `RevisionMissing`",
		try: func(t *trial) {
			t.create(traffic(servingv1.TrafficTarget{RevisionName: t.name + "-00009", Percent: new(int64(100))}))
			comes(t, &servingv1.Route{}, t.name, ofRoute, servingv1.RouteAllTrafficAssigned, "False RevisionMissing Revision \""+t.name+"-00009\" referenced in traffic not found.")
			comes(t, &servingv1.Service{}, t.name, ofService, servingv1.ServiceRoutesReady, "False RevisionMissing")
		},
	},
	{
		area: statusArea, name: "at-zero",
		says: "at zero pods a Revision is Ready still, and `Active` is False, `NoTraffic`, of severity Info; a request brings a pod back",
		try: func(t *trial) {
			t.create(annotated("autoscaling.knative.dev/window", "6s"))
			t.ready()
			comes(t, &servingv1.Revision{}, t.name+"-00001", ofRevision, servingv1.RevisionActive, "False NoTraffic")
			rev := t.revision(t.name + "-00001")
			if c := rev.Status.Condition(servingv1.RevisionActive); !rev.IsReady() || c.Severity != servingv1.SeverityInfo {
				t.Errorf("Ready is %q; the severity of Active %q", say(rev.Status.Condition(servingv1.ConditionReady)), c.Severity)
			}
			t.zero()
			t.expect("/", "200 "+t.name+"-00001")
		},
	},
	{
		area: statusArea, name: "deleted",
		says: "deleting a Service takes everything of it away, and its host is 404",
		try: func(t *trial) {
			t.create()
			t.ready()
			if err := t.api.Delete(t.Context(), t.describe()); err != nil {
				t.Fatal(err)
			}
			t.until("its host is unknown", func() bool { return strings.HasPrefix(t.answer(t.host(), "/"), fmt.Sprint(http.StatusNotFound)) })
			t.zero()
			t.until("its revision is gone", func() bool {
				var list servingv1.RevisionList
				if err := t.api.List(t.Context(), &list); err != nil {
					return false
				}
				for _, r := range list.Items {
					if r.Labels[servingv1.ServiceLabel] == t.name {
						return false
					}
				}
				return true
			})
		},
	},
}

const revisionArea = "Revisions and their names"

var revisions = []behaviour{
	{
		area: revisionArea, name: "generations",
		says: "each change of the template is a generation and a revision `NAME-0000N`, labelled with `configurationGeneration`; one of metadata alone is none",
		try: func(t *trial) {
			t.create()
			t.ready()
			t.edit(func(s *servingv1.Service) { s.Annotations = map[string]string{"example.com/note": "a"} })
			t.edit(env("A", "1"))
			t.ready()
			t.edit(env("B", "2"))
			s := t.ready()
			if s.Status.LatestReadyRevisionName != t.name+"-00003" {
				t.Errorf("latest ready is %q", s.Status.LatestReadyRevisionName)
			}
			for n := 1; n <= 3; n++ {
				rev := t.revision(fmt.Sprintf("%s-0000%d", t.name, n))
				if got := rev.Labels[servingv1.ConfigurationGenerationLabel]; got != fmt.Sprint(n) || rev.Annotations["example.com/note"] != "" {
					t.Errorf("%s: generation %q, annotations %v", rev.Name, got, rev.Annotations)
				}
			}
		},
	},
	{
		area: revisionArea, name: "own-name",
		says: "a name in the template is the revision's; another template must not keep it; one that is used again with its own template is a rollback",
		try: func(t *trial) {
			t.create(called(t.name + "-blue"))
			t.ready()
			if err := t.tryEdit(env("A", "1")); err == nil || !strings.Contains(err.Error(), "spec.template.metadata.name") {
				t.Errorf("another template under the same name: %v", err)
			}
			t.edit(env("A", "1"), called(t.name+"-green"))
			t.ready()
			t.expect("/", "200 "+t.name+"-green")
			t.edit(called(t.name+"-blue"), func(s *servingv1.Service) { container(s).Env = nil })
			t.until("blue answers", func() bool { return t.answer(t.host(), "/") == "200 "+t.name+"-blue" })
			t.refused("must start with metadata.name and a dash", called("other"))
		},
	},
	{
		area: revisionArea, name: "container-name",
		says: "a container without a name is `user-container`; `queue-proxy` is refused",
		try: func(t *trial) {
			t.create()
			t.ready()
			if got := t.revision(t.name + "-00001").Spec.Containers[0].Name; got != servingv1.UserContainer {
				t.Errorf("it is called %q", got)
			}
			t.refused("queue-proxy", func(s *servingv1.Service) { container(s).Name = servingv1.QueueContainer })
		},
	},
	{
		area: revisionArea, name: "one-port",
		says: "of several containers one has a port, and no container has two",
		try: func(t *trial) {
			t.refused("port", func(s *servingv1.Service) {
				a, b := *container(s), *container(s)
				a.Name, b.Name = "a", "b"
				s.Spec.Template.Spec.Containers = []servingv1.Container{a, b}
			})
			t.refused("ports", func(s *servingv1.Service) {
				container(s).Ports = []servingv1.ContainerPort{{ContainerPort: 8080}, {ContainerPort: 8081}}
			})
		},
	},
	{
		area: revisionArea, name: "reserved",
		says: "variables and ports of the platform's own are refused",
		try: func(t *trial) {
			for _, name := range []string{"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"} {
				t.refused("platform", env(name, "x"))
			}
			for _, port := range []int32{8012, 8013, 8022, 9090, 9091} {
				t.refused("reserved", func(s *servingv1.Service) { container(s).Ports = []servingv1.ContainerPort{{ContainerPort: port}} })
			}
		},
	},
	{
		area: revisionArea, name: "digest",
		says: "the image is run by its digest, which is in the Revision's `containerStatuses`",
		try: func(t *trial) {
			t.create()
			t.ready()
			statuses := t.revision(t.name + "-00001").Status.ContainerStatuses
			if len(statuses) != 1 || !strings.Contains(statuses[0].ImageDigest, "@sha256:") {
				t.Errorf("got %+v", statuses)
			}
		},
	},
	{
		area: revisionArea, name: "volumes",
		says: "a ConfigMap is a volume, read-only; where it is optional it may be missing",
		try: func(t *trial) {
			config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: t.name, Namespace: metav1.NamespaceDefault}, Data: map[string]string{"word": "hello"}}
			if _, err := t.kubernetes.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(t.Context(), config, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			t.create(func(s *servingv1.Service) {
				from := func(name string) *corev1.ConfigMapVolumeSource {
					return &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: new(true)}
				}
				s.Spec.Template.Spec.Volumes = []servingv1.Volume{{Name: "there", ConfigMap: from(t.name)}, {Name: "missing", ConfigMap: from("no-such-map")}}
				container(s).VolumeMounts = []servingv1.VolumeMount{{Name: "there", MountPath: "/there"}, {Name: "missing", MountPath: "/missing"}}
			})
			t.ready()
			t.expect("/file?path=/there/word", "200 hello")
			if got := t.answer(t.host(), "/write?path=/there/other"); !strings.HasPrefix(got, "403") {
				t.Errorf("writing to it: %s", got)
			}
		},
	},
	{
		area: revisionArea, name: "service-links",
		says: "`enableServiceLinks` is false where nothing is said",
		try: func(t *trial) {
			t.create()
			t.ready()
			if links := t.revision(t.name + "-00001").Spec.EnableServiceLinks; links == nil || *links {
				t.Errorf("it is %v", links)
			}
		},
	},
}
