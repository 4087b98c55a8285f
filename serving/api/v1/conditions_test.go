package v1_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// say writes conditions down, one a line, as a person would read them.
func say(s *servingv1.Status) string {
	var b strings.Builder
	for _, c := range s.Conditions {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%s %s %s %s", c.Type, c.Status, c.Reason, c.Message), " "))
	}
	return b.String()
}

func TestRevisionConditions(t *testing.T) {
	s := &servingv1.RevisionStatus{}
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"new", s.InitializeConditions, `
Ready Unknown
ContainerHealthy Unknown
ResourcesAvailable Unknown
Active Unknown
`},
		{"deploying", func() { s.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, "") }, `
Ready Unknown
ContainerHealthy Unknown
ResourcesAvailable Unknown Deploying
Active Unknown
`},
		{"the container ends", func() {
			s.MarkContainerHealthyFalse(servingv1.ReasonExitCode(2), servingv1.MessageContainerFailed("no database"))
		}, `
Ready False ExitCode2 Container failed with: no database
ContainerHealthy False ExitCode2 Container failed with: no database
ResourcesAvailable Unknown Deploying
Active Unknown
`},
		{"and comes back", func() {
			s.MarkContainerHealthyTrue()
			s.MarkResourcesAvailableTrue()
			s.MarkActiveTrue()
		}, `
Ready True
ContainerHealthy True
ResourcesAvailable True
Active True
`},
		{"to zero: not active, still ready", func() {
			s.MarkActiveFalse(servingv1.ReasonNoTraffic, "The target is not receiving traffic.")
		}, `
Ready True
ContainerHealthy True
ResourcesAvailable True
Active False NoTraffic The target is not receiving traffic.
`},
	} {
		step.do()
		if got := "\n" + say(&s.Status); got != step.want {
			t.Errorf("%s: got %swant %s", step.name, got, step.want)
		}
	}
	if c := s.Condition(servingv1.RevisionActive); c.Severity != servingv1.SeverityInfo {
		t.Errorf("Active has severity %q", c.Severity)
	}
}

func TestConfigurationConditions(t *testing.T) {
	s := &servingv1.ConfigurationStatus{}
	s.SetLatestCreatedRevisionName("hello-00001")
	s.MarkLatestCreatedReady()
	expect(t, &s.Status, "Ready True\n")

	s.SetLatestCreatedRevisionName("hello-00002")
	expect(t, &s.Status, "Ready Unknown Deploying\n")
	s.MarkLatestCreatedFailed("hello-00002", "it does not start")
	expect(t, &s.Status, "Ready False RevisionFailed Revision \"hello-00002\" failed with message: it does not start.\n")
}

func TestRouteConditions(t *testing.T) {
	s := &servingv1.RouteStatus{}
	s.InitializeConditions()
	s.MarkTLSNotEnabled()
	s.MarkConfigurationNotReady("hello")
	s.MarkIngressReady()
	expect(t, &s.Status, `Ready Unknown RevisionMissing Configuration "hello" is waiting for a Revision to become ready.
AllTrafficAssigned Unknown RevisionMissing Configuration "hello" is waiting for a Revision to become ready.
IngressReady True
CertificateProvisioned True TLSNotEnabled external-domain-tls is not enabled
`)
	s.MarkMissingTrafficTarget("Revision", "hello-00009")
	if got := s.Condition(servingv1.ConditionReady); got.Reason != servingv1.ReasonRevisionMissing || got.Status != corev1.ConditionFalse {
		t.Errorf("got %+v", got)
	}
	s.MarkTrafficAssigned()
	if !s.IsTrue(servingv1.ConditionReady) {
		t.Errorf("not ready: %s", say(&s.Status))
	}
}

func TestServiceMirrorsItsChildren(t *testing.T) {
	config, route := &servingv1.ConfigurationStatus{}, &servingv1.RouteStatus{}
	config.SetLatestCreatedRevisionName("hello-00001")
	config.MarkLatestCreatedReady()
	route.URL = "http://hello.default.example.com"
	route.Traffic = []servingv1.TrafficTarget{{RevisionName: "hello-00001", Percent: new(int64(100))}}
	route.MarkTrafficAssigned()
	route.MarkIngressReady()
	route.MarkTLSNotEnabled()

	s := &servingv1.Service{}
	s.Generation = 3
	s.Status.InitializeConditions()
	s.Status.PropagateConfigurationStatus(config)
	s.Status.PropagateRouteStatus(route)
	expect(t, &s.Status.Status, "Ready True\nConfigurationsReady True\nRoutesReady True\n")
	if s.Status.LatestReadyRevisionName != "hello-00001" || s.Status.URL != route.URL || len(s.Status.Traffic) != 1 {
		t.Errorf("got %+v", s.Status)
	}
	if s.IsReady() {
		t.Error("ready though generation 3 was never observed")
	}
	s.Status.ObservedGeneration = 3
	if !s.IsReady() {
		t.Error("not ready though generation 3 was observed")
	}
	s.Status.MarkRouteNotYetReady()
	expect(t, &s.Status.Status, `Ready Unknown TrafficNotMigrated Traffic is not yet migrated to the latest revision.
ConfigurationsReady True
RoutesReady Unknown TrafficNotMigrated Traffic is not yet migrated to the latest revision.
`)
}

// TestTransitionTime: the time of a condition is when its status changed,
// whatever else is said of it afterwards.
func TestTransitionTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &servingv1.RevisionStatus{}
		start := time.Now()
		s.MarkContainerHealthyUnknown("", "")
		time.Sleep(time.Minute)
		s.MarkContainerHealthyUnknown(servingv1.ReasonDeploying, "still")
		if got := s.Condition(servingv1.ConditionReady).LastTransitionTime; !got.Time.Equal(start) {
			t.Errorf("moved to %v by a new reason", got)
		}
		s.MarkContainerHealthyFalse("OOMKilled", "")
		if got := s.Condition(servingv1.ConditionReady).LastTransitionTime; !got.Time.Equal(start.Add(time.Minute)) {
			t.Errorf("is %v after a new status", got)
		}
	})
}

func expect(t *testing.T, s *servingv1.Status, want string) {
	t.Helper()
	if got := say(s); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
