package panel

import "slices"

// Metric is a family of series that queries may ask for.
type Metric struct {
	Name   string
	Type   Type
	Labels []string
	Source Source
}

// Type is what a series of a metric holds.
type Type string

// The types.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram" // classic, with buckets by le; of milliseconds
)

// Source is who has the numbers.
type Source string

// The sources.
const (
	Box     Source = "box"     // the activator and the controller
	Kubelet Source = "kubelet" // its cAdvisor: only Prometheus asks it
)

var (
	ofRevision = []string{"namespace_name", "service_name", "configuration_name", "revision_name"}
	ofService  = []string{"service_name"}
	ofPod      = []string{"namespace", "pod", "container"}
)

// Metrics is all that the queries of Dashboards ask for.
var Metrics = []Metric{
	{"activator_request_count", Counter, with(ofRevision, "response_code", "response_code_class"), Box},
	{"activator_request_latencies", Histogram, with(ofRevision, "response_code", "response_code_class"), Box},
	{"activator_request_concurrency", Gauge, ofRevision, Box},
	{"activator_requests_held", Gauge, ofRevision, Box},
	{"activator_held_latencies", Histogram, ofRevision, Box},
	{"activator_cold_start_latencies", Histogram, with(ofRevision, "phase"), Box},
	{"activator_pods", Gauge, ofRevision, Box},

	{"autoscaler_desired_pods", Gauge, ofRevision, Box},
	{"autoscaler_actual_pods", Gauge, ofRevision, Box},
	{"autoscaler_requested_pods", Gauge, ofRevision, Box},
	{"autoscaler_not_ready_pods", Gauge, ofRevision, Box},
	{"autoscaler_pending_pods", Gauge, ofRevision, Box},
	{"autoscaler_terminating_pods", Gauge, ofRevision, Box},
	{"autoscaler_stable_request_concurrency", Gauge, ofRevision, Box},
	{"autoscaler_panic_request_concurrency", Gauge, ofRevision, Box},
	{"autoscaler_target_concurrency_per_pod", Gauge, ofRevision, Box},
	{"autoscaler_excess_burst_capacity", Gauge, ofRevision, Box},
	{"autoscaler_stable_requests_per_second", Gauge, ofRevision, Box},
	{"autoscaler_panic_requests_per_second", Gauge, ofRevision, Box},
	{"autoscaler_target_requests_per_second", Gauge, ofRevision, Box},
	{"autoscaler_panic_mode", Gauge, ofRevision, Box},

	{"devbox_loop_edits_total", Counter, with(ofService, "outcome"), Box},
	{"devbox_loop_phase_latencies", Histogram, with(ofService, "phase"), Box},
	{"devbox_loop_edit_latencies", Histogram, ofService, Box},

	{"container_cpu_usage_seconds_total", Counter, ofPod, Kubelet},
	{"container_memory_usage_bytes", Gauge, ofPod, Kubelet},
}

func with(labels []string, more ...string) []string { return slices.Concat(labels, more) }

// metric is the metric of a name; one that nobody has has no labels.
func metric(name string) Metric {
	for _, m := range Metrics {
		if m.Name == name {
			return m
		}
	}
	return Metric{Name: name}
}

// matchers are those of a query and of the scope, where the metric has the
// label. A pod of a revision is known to the kubelet by its name alone.
func (q Query) matchers(s Scope) []Matcher { return append(metric(q.Metric).within(s), q.Match...) }

func (m Metric) within(s Scope) []Matcher {
	if m.Source == Kubelet {
		return chosen(m, Matcher{"namespace", Like, s.Namespace}, Matcher{"pod", Like, podsOf(s)})
	}
	return chosen(m,
		Matcher{"namespace_name", Like, s.Namespace}, Matcher{"service_name", Like, s.Service},
		Matcher{"configuration_name", Like, s.Configuration}, Matcher{"revision_name", Like, s.Revision})
}

func podsOf(s Scope) string {
	switch {
	case s.Revision != "":
		return "(" + s.Revision + ")-deployment-.*"
	case s.Configuration != "":
		return "(" + s.Configuration + ")-.*-deployment-.*"
	}
	return ""
}

// chosen drops what is not asked for, and what the metric has no label for.
func chosen(m Metric, all ...Matcher) []Matcher {
	return slices.DeleteFunc(all, func(a Matcher) bool { return a.Value == "" || !slices.Contains(m.Labels, a.Label) })
}
