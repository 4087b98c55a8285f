package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

const digest1 = "@sha256:1111111111111111111111111111111111111111111111111111111111111111"

func TestFirstRevision(t *testing.T) {
	w := newWorld(t)
	w.node("the-node")
	began := time.Now().Round(0) // the wall's clock, which is what is written down
	w.deploy("hello", "localhost:5001/hello"+digest1, func(s *servingv1.Service) { s.Labels = map[string]string{"team": "blue"} })

	svc := get(w, &servingv1.Service{}, "hello")
	w.expect("created", svc.Status.LatestCreatedRevisionName, "hello-00001")
	w.expect("ready revision before a pod answers", svc.Status.LatestReadyRevisionName, "")
	w.expect("Ready", condition(&svc.Status.Status, servingv1.ConditionReady), "Unknown Deploying")
	w.expect("traffic", w.traffic("hello"), "[]")

	pods := w.pods("hello-00001")
	if len(pods) != 1 {
		t.Fatalf("%d pods, want 1", len(pods))
	}
	w.expect("node", pods[0].Spec.NodeName, "the-node")
	decided, err := time.Parse(time.RFC3339Nano, pods[0].Annotations[servingv1.DecidedAnnotation])
	if err != nil || decided.Before(began) || decided.After(time.Now()) {
		t.Errorf("decided at %s, %v; want a time since %s", decided, err, began)
	}
	w.expect("image", pods[0].Spec.Containers[0].Image, "localhost:5001/hello"+digest1)

	w.activator("hello-00001")
	svc = get(w, &servingv1.Service{}, "hello")
	for _, c := range []servingv1.ConditionType{servingv1.ConditionReady, servingv1.ServiceConfigurationsReady, servingv1.ServiceRoutesReady} {
		w.expect(string(c), condition(&svc.Status.Status, c), "True")
	}
	w.expect("observed generation", svc.Status.ObservedGeneration, svc.Generation)
	w.expect("URL", svc.Status.URL, "http://hello."+w.namespace+".example.com")
	w.expect("address", svc.Status.Address.URL, "http://hello."+w.namespace+".svc.cluster.local")
	w.expect("traffic", w.traffic("hello"), "[hello-00001 100 latest]")

	rev := get(w, &servingv1.Revision{}, "hello-00001")
	w.expect("routing state", rev.Labels[servingv1.RoutingStateLabel], desired.RoutingActive)
	w.expect("routes", rev.Annotations[servingv1.RoutesAnnotation], "hello")
	w.expect("replicas", fmt.Sprint(*rev.Status.ActualReplicas, *rev.Status.DesiredReplicas), "1 1")
	w.expect("digest", rev.Status.ContainerStatuses, "[{user-container localhost:5001/hello"+digest1+"}]")
	w.expect("labels of the name in the cluster", get(w, &corev1.Service{}, "hello").Labels["team"], "blue")
	w.expect("events", w.told(), "[Created Ready]")
}

// Deleting the Service takes everything with it: each object names the one
// above as its controller.
func TestOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello", "hello-00001")
	pod := w.pods("hello-00001")[0]
	for _, c := range []struct {
		child client.Object
		owner string
	}{
		{get(w, &servingv1.Configuration{}, "hello"), "Service hello"},
		{get(w, &servingv1.Route{}, "hello"), "Service hello"},
		{get(w, &corev1.Service{}, "hello"), "Route hello"},
		{get(w, &servingv1.Revision{}, "hello-00001"), "Configuration hello"},
		{pod, "Revision hello-00001"},
	} {
		owner := metav1.GetControllerOf(c.child)
		w.expect(fmt.Sprintf("owner of %T", c.child), owner.Kind+" "+owner.Name, c.owner)
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")

	w.deploy("hello", "dev.local/hello:2")
	w.expect("traffic while the new one starts", w.traffic("hello"), "[hello-00001 100 latest]")
	svc := get(w, &servingv1.Service{}, "hello")
	w.expect("created", svc.Status.LatestCreatedRevisionName, "hello-00002")
	w.expect("ready", svc.Status.LatestReadyRevisionName, "hello-00001")
	w.expect("Ready", condition(&svc.Status.Status, servingv1.ConditionReady), "Unknown Deploying")

	w.activator("hello-00002")
	w.expect("traffic when it answers", w.traffic("hello"), "[hello-00002 100 latest]")
	w.expect("Ready", condition(&get(w, &servingv1.Service{}, "hello").Status.Status, servingv1.ConditionReady), "True")
	w.expect("pods of the old one", len(w.pods("hello-00001")), 0)
	old := get(w, &servingv1.Revision{}, "hello-00001")
	w.expect("the old one", old.Labels[servingv1.RoutingStateLabel], desired.RoutingReserve)
	w.expect("Ready of the old one", condition(&old.Status.Status, servingv1.ConditionReady), "True")
	w.expect("Active of the old one", old.Status.Condition(servingv1.RevisionActive).Reason, "NoTraffic")
}

// A revision that was overtaken before it answered has no pods left.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")
	w.deploy("hello", "dev.local/hello:2")
	w.expect("pods of the second", len(w.pods("hello-00002")), 1)
	w.deploy("hello", "dev.local/hello:3")
	w.expect("pods of the second when the third came", len(w.pods("hello-00002")), 0)
	w.expect("traffic", w.traffic("hello"), "[hello-00001 100 latest]")
	w.activator("hello-00003")
	w.expect("traffic", w.traffic("hello"), "[hello-00003 100 latest]")
}

func TestGenerations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")
	w.deploy("hello", "dev.local/hello:1", func(s *servingv1.Service) { s.Annotations = map[string]string{"note": "a"} })
	w.expect("after an edit of metadata", get(w, &servingv1.Service{}, "hello").Status.LatestCreatedRevisionName, "hello-00001")
	w.expect("the note", get(w, &servingv1.Configuration{}, "hello").Annotations["note"], "a")
	w.deploy("hello", "dev.local/hello:1", func(s *servingv1.Service) { s.Annotations = nil })
	w.expect("the note after it was taken away", get(w, &servingv1.Configuration{}, "hello").Annotations["note"], "")
	w.deploy("hello", "dev.local/hello:1", func(s *servingv1.Service) {
		s.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/min-scale": "1"}
	})
	w.expect("after an edit of the template", get(w, &servingv1.Service{}, "hello").Status.LatestCreatedRevisionName, "hello-00002")
	w.expect("generation", get(w, &servingv1.Revision{}, "hello-00002").Labels[servingv1.ConfigurationGenerationLabel], "2")
}

func TestOwnNamesAndRollback(t *testing.T) {
	t.Parallel()
	named := func(name string) func(*servingv1.Service) {
		return func(s *servingv1.Service) { s.Spec.Template.Name = name }
	}
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-blue", named("hello-blue"))
	w.live("hello", "dev.local/hello:2", "hello-green", named("hello-green"))
	w.expect("pods of blue", len(w.pods("hello-blue")), 0)

	w.deploy("hello", "dev.local/hello:1", named("hello-blue"))
	w.expect("traffic after the rollback", w.traffic("hello"), "[hello-blue 100 latest]")
	w.expect("pods of blue after the rollback", len(w.pods("hello-blue")), 1)
	w.expect("pods of green after the rollback", len(w.pods("hello-green")), 0)

	w.deploy("hello", "dev.local/hello:3", named("hello-green"))
	config := get(w, &servingv1.Configuration{}, "hello")
	w.expect("a name used for another template", condition(&config.Status.Status, servingv1.ConditionReady),
		"False RevisionFailed: Revision creation failed with message: hello-green is the name of a revision made of another template.")
	w.expect("traffic", w.traffic("hello"), "[hello-blue 100 latest]")
}

func TestCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")
	w.deploy("hello", "dev.local/hello:2")
	w.told()
	w.kubelet(w.pods("hello-00002")[0], exited(1, "panic: boom"))

	const words = "ExitCode1: Container failed with: panic: boom"
	rev := get(w, &servingv1.Revision{}, "hello-00002")
	w.expect("ContainerHealthy", condition(&rev.Status.Status, servingv1.RevisionContainerHealthy), "False "+words)
	w.expect("events", w.told(), "[ExitCode1]")
	svc := get(w, &servingv1.Service{}, "hello")
	w.expect("Ready", condition(&svc.Status.Status, servingv1.ConditionReady),
		`False RevisionFailed: Revision "hello-00002" failed with message: Container failed with: panic: boom.`)
	w.expect("traffic", w.traffic("hello"), "[hello-00001 100 latest]")
	w.expect("pods that serve", len(w.pods("hello-00001")), 1)

	w.live("hello", "dev.local/hello:3", "hello-00003")
	w.expect("Ready after the next edit", condition(&get(w, &servingv1.Service{}, "hello").Status.Status, servingv1.ConditionReady), "True")
	w.expect("pods that crash, after the next edit", len(w.pods("hello-00002")), 0)
}

// A service is no healthier than its latest revision, whatever that has been.
func TestCrashAfterItWasReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")
	pod := w.pods("hello-00001")[0]
	w.kubelet(pod, exited(1, "on purpose"))
	w.silent("hello-00001")

	const words = `False RevisionFailed: Revision "hello-00001" failed with message: Container failed with: on purpose.`
	svc := get(w, &servingv1.Service{}, "hello")
	w.expect("Ready", condition(&svc.Status.Status, servingv1.ConditionReady), words)
	w.expect("ConfigurationsReady", condition(&svc.Status.Status, servingv1.ServiceConfigurationsReady), words)
	w.expect("RoutesReady", condition(&svc.Status.Status, servingv1.ServiceRoutesReady), "True")
	w.expect("Configuration", condition(&get(w, &servingv1.Configuration{}, "hello").Status.Status, servingv1.ConditionReady), words)
	w.expect("latest ready", svc.Status.LatestReadyRevisionName, "hello-00001")
	w.expect("traffic", w.traffic("hello"), "[hello-00001 100 latest]")

	w.kubelet(pod, func(p *corev1.Pod) { // long ago
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	})
	w.activator("hello-00001")
	w.expect("Ready when it is well again", condition(&get(w, &servingv1.Service{}, "hello").Status.Status, servingv1.ConditionReady), "True")
}

func TestFirstImageMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deploy("hello", "dev.local/hello:1")
	w.kubelet(w.pods("hello-00001")[0], waits("ErrImagePull", "not found"))
	svc := get(w, &servingv1.Service{}, "hello")
	w.expect("Ready", condition(&svc.Status.Status, servingv1.ConditionReady),
		`False RevisionFailed: Revision "hello-00001" failed with message: not found.`)
	w.expect("routes", condition(&svc.Status.Status, servingv1.ServiceRoutesReady),
		`False RevisionMissing: Configuration "hello" does not have any ready Revision.`)
	w.expect("revision", condition(&get(w, &servingv1.Revision{}, "hello-00001").Status.Status, servingv1.ConditionReady), "False ErrImagePull: not found")
}

func TestToZeroAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")
	w.told()
	w.wanted.pods["hello-00001"] = 0
	w.settle()
	w.expect("pods", len(w.pods("hello-00001")), 0)
	w.expect("events", w.told(), "[ScaledToZero]")
	rev := get(w, &servingv1.Revision{}, "hello-00001")
	w.expect("Active", rev.Status.Condition(servingv1.RevisionActive).Reason, "NoTraffic")
	w.expect("Ready", condition(&rev.Status.Status, servingv1.ConditionReady), "True")
	w.expect("traffic", w.traffic("hello"), "[hello-00001 100 latest]")

	w.wanted.pods["hello-00001"] = 3
	w.settle()
	w.expect("pods", len(w.pods("hello-00001")), 3)
	rev = get(w, &servingv1.Revision{}, "hello-00001")
	w.expect("Active", rev.Status.Condition(servingv1.RevisionActive).Reason, "Queued")
	w.expect("Ready", condition(&rev.Status.Status, servingv1.ConditionReady), "True")
	w.activator("hello-00001")
	rev = get(w, &servingv1.Revision{}, "hello-00001")
	w.expect("Active", condition(&rev.Status.Status, servingv1.RevisionActive), "True")
	w.expect("replicas", *rev.Status.ActualReplicas, 3)

	w.wanted.pods["hello-00001"] = 1
	w.settle()
	w.expect("pods", len(w.pods("hello-00001")), 1)
}

// A pod that ends has a successor: at once while another one answers, else
// after a while that grows, and through the scheduler.
func TestLostPods(t *testing.T) {
	w := newWorld(t)
	w.node("the-node")
	w.live("hello", "dev.local/hello:1", "hello-00001")
	first := w.pods("hello-00001")[0]
	w.kubelet(first, failed("OutOfcpu", "the node has no room"))
	w.expect("status", condition(&get(w, &servingv1.Revision{}, "hello-00001").Status.Status, servingv1.RevisionResourcesAvailable),
		"False OutOfcpu: the node has no room")
	w.expect("pods before the wait is over", names(w.pods("hello-00001")), names([]*corev1.Pod{first}))

	w.clock.Step(firstBackOff)
	w.settle()
	second := w.pods("hello-00001")
	if len(second) != 1 || second[0].UID == first.UID {
		t.Fatalf("pods after the wait: %s", names(second))
	}
	w.expect("node of the successor", second[0].Spec.NodeName, "")
	w.expect("status", condition(&get(w, &servingv1.Revision{}, "hello-00001").Status.Status, servingv1.RevisionResourcesAvailable), "Unknown Deploying")

	w.activator("hello-00001")
	w.wanted.pods["hello-00001"] = 2
	w.settle()
	w.kubelet(w.pods("hello-00001")[0], failed("Evicted", "low on memory"))
	w.expect("pods after an eviction while another answers", len(w.pods("hello-00001")), 2)
}

// Of many pods that are wanted at once, as many are made as the node's cores can
// start, and the next as soon as those answer.
func TestManyPodsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.node("the-node")
	node := get(w, &corev1.Node{}, "the-node")
	node.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}
	if err := w.Status().Update(w.Context(), node); err != nil {
		t.Fatal(err)
	}
	w.live("hello", "dev.local/hello:1", "hello-00001")
	w.wanted.pods["hello-00001"] = 8
	w.settle()
	w.expect("pods at first", len(w.pods("hello-00001")), 1+2*startsPerCore)
	w.settle()
	w.expect("pods while none of them answers", len(w.pods("hello-00001")), 1+2*startsPerCore)
	w.activator("hello-00001")
	w.expect("pods when they answer", len(w.pods("hello-00001")), 8)
}

// A pod that takes requests has the revision's timeout to end in, and one that
// never did has no longer than any other of Kubernetes.
func TestGrace(t *testing.T) {
	w := newWorld(t)
	w.node("the-node")
	w.live("hello", "dev.local/hello:1", "hello-00001")
	took := w.pods("hello-00001")[0]
	w.silent("hello-00001") // it may have requests still
	w.wanted.pods["hello-00001"] = 2
	w.settle()
	if pods := w.pods("hello-00001"); len(pods) != 2 {
		t.Fatalf("there are %s", names(pods))
	}
	w.wanted.pods["hello-00001"] = 0
	w.settle()
	for _, o := range w.list(&corev1.PodList{}) {
		want := int64(unusedGrace.Seconds())
		if o.GetUID() == took.UID {
			want = servingv1.DefaultTimeoutSeconds
		}
		if got := o.GetDeletionGracePeriodSeconds(); got == nil || *got != want {
			t.Errorf("pod %s has %v seconds to end, want %d", o.GetName(), got, want)
		}
	}
}

func TestTagsAndSplit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")
	w.deploy("hello", "dev.local/hello:2", func(s *servingv1.Service) {
		s.Spec.Traffic = []servingv1.TrafficTarget{
			{LatestRevision: new(true), Percent: new(int64(80))},
			{RevisionName: "hello-00001", Percent: new(int64(20)), Tag: "old"},
		}
	})
	w.activator("hello-00002")
	tag := "http://old-hello." + w.namespace + ".example.com"
	w.expect("traffic", w.traffic("hello"), "[hello-00002 80 latest hello-00001 20 old "+tag+"]")
	w.expect("pods of the pinned revision", len(w.pods("hello-00001")), 1)
	get(w, &corev1.Service{}, "old-hello")

	w.deploy("hello", "dev.local/hello:2", func(s *servingv1.Service) { s.Spec.Traffic = nil })
	w.expect("traffic", w.traffic("hello"), "[hello-00002 100 latest]")
	w.expect("pods of the revision that was pinned", len(w.pods("hello-00001")), 0)
	w.expect("names in the cluster", len(w.list(&corev1.ServiceList{})), 1)
}

// Somebody else's Service of the route's name stays as it is.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := &corev1.Service{}
	theirs.Name, theirs.Namespace = "hello", w.namespace
	theirs.Spec.Ports = []corev1.ServicePort{{Port: 5432}}
	if err := w.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	w.deploy("hello", "dev.local/hello:1")
	w.expect("IngressReady", condition(&get(w, &servingv1.Route{}, "hello").Status.Status, servingv1.RouteIngressReady),
		`False NotOwned: There is an existing placeholder Service "hello" that we do not own.`)
	w.expect("their service", get(w, &corev1.Service{}, "hello").Spec.Ports[0].Port, 5432)
}

func names(pods []*corev1.Pod) string {
	var out []string
	for _, p := range pods {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

// A placeholder Service keeps the labels that its route had when it was made,
// and those that people give it; what leads to the activator is mended.
func TestPlaceholderKeepsItsLabels(t *testing.T) {
	w := newWorld(t)
	w.live("hello", "dev.local/hello:0", "hello-00001", func(svc *servingv1.Service) {
		svc.Labels = map[string]string{"team": "a", "tier": "web"}
		svc.Annotations = map[string]string{"note": "first"}
	})
	service := get(w, &corev1.Service{}, "hello")
	service.Labels["by-hand"] = "yes"
	service.Spec.ExternalName = "elsewhere.example.com"
	if err := w.Update(w.Context(), service); err != nil {
		t.Fatal(err)
	}
	w.deploy("hello", "dev.local/hello:0", func(svc *servingv1.Service) {
		svc.Labels = map[string]string{"team": "b", "new": "yes"}
		svc.Annotations = map[string]string{}
	})
	service = get(w, &corev1.Service{}, "hello")
	w.expect("labels", service.Labels, map[string]string{
		"team": "a", "tier": "web", "by-hand": "yes",
		servingv1.RouteLabel: "hello", servingv1.ServiceLabel: "hello", servingv1.ServiceUIDLabel: string(get(w, &servingv1.Service{}, "hello").UID),
	})
	w.expect("annotations", service.Annotations, map[string]string{
		"note": "first", servingv1.CreatorAnnotation: "admin", servingv1.LastModifierAnnotation: "admin",
	})
	w.expect("where it leads", service.Spec.ExternalName, "activator-local.knative-serving.svc.cluster.local")
}

// The label of visibility on a placeholder Service is for that name alone, as
// long as it is there; what the route says is for all.
func TestVisibilityOfPlaceholders(t *testing.T) {
	w := newWorld(t)
	w.live("hello", "dev.local/hello:0", "hello-00001")
	w.deploy("hello", "dev.local/hello:0", func(svc *servingv1.Service) {
		svc.Spec.Traffic = []servingv1.TrafficTarget{
			{LatestRevision: new(true), Percent: new(int64(100))},
			{RevisionName: "hello-00001", Tag: "blue"}, {RevisionName: "hello-00001", Tag: "green"},
		}
	})
	label := func(obj client.Object, name, value string) {
		t.Helper()
		set := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+servingv1.VisibilityLabel+`":`+value+`}}}`))
		if err := w.Patch(w.Context(), get(w, obj, name), set); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	inside := func(name string) string { return "http://" + name + "." + w.namespace + ".svc.cluster.local" }
	outside := func(name string) string { return "http://" + name + "." + w.namespace + ".example.com" }
	expect := func(when string, urls ...string) {
		t.Helper()
		route := get(w, &servingv1.Route{}, "hello")
		got := []string{route.Status.URL}
		for _, target := range route.Status.Traffic {
			if target.Tag != "" {
				got = append(got, target.URL)
			}
		}
		w.expect(when, got, urls)
		for i, tag := range []string{"", "blue", "green"} {
			hosts := strings.Join(servingv1.RouteHosts(route, tag, urls[i]), " ")
			if reached := strings.Contains(hosts, "localhost") || strings.Contains(hosts, "example.com"); reached == strings.HasSuffix(urls[i], ".svc.cluster.local") {
				t.Errorf("%s: the activator answers for %s as %s", when, urls[i], hosts)
			}
		}
		w.expect(when+", of the Service", get(w, &servingv1.Service{}, "hello").Status.URL, urls[0])
	}
	expect("at first", outside("hello"), outside("blue-hello"), outside("green-hello"))
	label(&corev1.Service{}, "blue-hello", `"cluster-local"`)
	expect("blue's", outside("hello"), inside("blue-hello"), outside("green-hello"))
	label(&corev1.Service{}, "hello", `"cluster-local"`)
	expect("the route's own too", inside("hello"), inside("blue-hello"), outside("green-hello"))
	label(&corev1.Service{}, "hello", "null")
	label(&corev1.Service{}, "blue-hello", "null")
	expect("taken away", outside("hello"), outside("blue-hello"), outside("green-hello"))

	label(&servingv1.Service{}, "hello", `"cluster-local"`)
	expect("the Service's", inside("hello"), inside("blue-hello"), inside("green-hello"))
	label(&servingv1.Service{}, "hello", "null")
	expect("the Service's taken away", outside("hello"), outside("blue-hello"), outside("green-hello"))
}
