package panel

import "time"

// The names and rows of the first two are Knative's, whose users know them.

// Dashboards is the list.
var Dashboards = []Dashboard{requests, scaling, loop, coldStarts}

// lately is the window of what happens many times a minute. What happens seldom
// is counted from the beginning: a rate would make 3.5 edits of three.
const lately = time.Minute

var requests = Dashboard{
	UID: "knative-revision-http-requests", Title: "Revision HTTP Requests",
	Text: "How many requests each revision gets, how they end, and how long they take.",
	Rows: []Row{
		{"Overview", []Panel{
			{Title: "Request Volume", Kind: Stat, Unit: PerSecond, Queries: []Query{
				{Func: Rate, Metric: "activator_request_count", Over: lately, Legend: "requests"}}},
			{Title: "Success Rate (non-5xx responses)", Kind: Stat, Unit: Fraction, Queries: []Query{
				{Func: Ratio, Metric: "activator_request_count", Over: lately, Match: []Matcher{{"response_code_class", IsNot, "5xx"}}, Legend: "success"}}},
			{Title: "4xx", Kind: Stat, Unit: PerSecond, Queries: []Query{ofClass("4xx")}},
			{Title: "5xx", Kind: Stat, Unit: PerSecond, Queries: []Query{ofClass("5xx")}},
		}},
		{"Request Volume", []Panel{
			{Title: "Request Volume by Revision", Kind: Stacked, Unit: PerSecond, Queries: []Query{
				{Func: Rate, Metric: "activator_request_count", Over: lately, By: []string{"revision_name"}, Legend: "{{revision_name}}"}}},
			{Title: "Request Volume by Response Code Class", Kind: Stacked, Unit: PerSecond, Queries: []Query{
				{Func: Rate, Metric: "activator_request_count", Over: lately, By: []string{"response_code_class"}, Legend: "{{response_code_class}}"}}},
		}},
		{"Response Time", []Panel{
			{Title: "Response Time by Revision", Kind: Graph, Unit: Milliseconds,
				Queries: quantiles("activator_request_latencies", lately, "revision_name", 0.5, 0.9, 0.95, 0.99)},
			{Title: "Response Time by Response Code Class", Kind: Graph, Unit: Milliseconds,
				Queries: quantiles("activator_request_latencies", lately, "response_code_class", 0.5, 0.95)},
		}},
	},
}

var scaling = Dashboard{
	UID: "knative-scaling-debugging", Title: "Scaling Debugging",
	Text: "How many pods a revision has and is to have, and the numbers that the autoscaler decides by.",
	Rows: []Row{
		{"Revision Pod Counts", []Panel{
			{Title: "Revision Pod Counts", Kind: Graph, Unit: Number, Queries: []Query{
				gauge("autoscaler_actual_pods", "actual"), gauge("autoscaler_requested_pods", "requested"),
				gauge("autoscaler_pending_pods", "pending"), gauge("autoscaler_not_ready_pods", "not ready"),
				gauge("autoscaler_terminating_pods", "terminating")}},
			{Title: "Requests Held", Text: "Requests that wait because no pod has room for them.", Kind: Graph, Unit: Number,
				Queries: []Query{gauge("activator_requests_held", "held")}},
		}},
		{"Resource Usages", []Panel{
			{Title: "Revision CPU Usage", Kind: Graph, Unit: Cores, Queries: []Query{
				{Func: Rate, Metric: "container_cpu_usage_seconds_total", Over: lately, Match: containers, By: []string{"container"}, Legend: "{{container}}"}}},
			{Title: "Pod Memory Usage", Kind: Graph, Unit: Bytes, Queries: []Query{
				{Func: Value, Metric: "container_memory_usage_bytes", Match: containers, By: []string{"pod"}, Legend: "{{pod}}"}}},
		}},
		{"Autoscaler Metrics", []Panel{
			{Title: "Pod Counts", Kind: Graph, Unit: Number, Queries: []Query{
				gauge("autoscaler_desired_pods", "desired"), gauge("autoscaler_actual_pods", "actual")}},
			{Title: "Observed Concurrency", Kind: Graph, Unit: Number, Queries: []Query{
				gauge("autoscaler_stable_request_concurrency", "stable"), gauge("autoscaler_panic_request_concurrency", "panic"),
				gauge("autoscaler_target_concurrency_per_pod", "target per pod"), gauge("autoscaler_excess_burst_capacity", "excess burst capacity")}},
			{Title: "Observed RPS", Kind: Graph, Unit: PerSecond, Queries: []Query{
				gauge("autoscaler_stable_requests_per_second", "stable"), gauge("autoscaler_panic_requests_per_second", "panic"),
				gauge("autoscaler_target_requests_per_second", "target per pod")}},
			{Title: "Panic Mode", Text: "1 while a revision panics: it gets pods by the last seconds, and loses none.", Kind: Graph, Unit: Switch, Queries: []Query{
				{Func: Value, Metric: "autoscaler_panic_mode", By: []string{"revision_name"}, Legend: "{{revision_name}}"}}},
		}},
		{"Activator Metrics", []Panel{
			{Title: "Request Count in last minute by Response Code", Kind: Stacked, Unit: Number, Queries: []Query{
				{Func: Increase, Metric: "activator_request_count", Over: lately, By: []string{"response_code"}, Legend: "{{response_code}}"}}},
			{Title: "Response Time in last minute", Kind: Graph, Unit: Milliseconds,
				Queries: quantiles("activator_request_latencies", lately, "", 0.5, 0.9, 0.95, 0.99)},
			{Title: "Request Concurrency", Kind: Graph, Unit: Number, Queries: []Query{
				{Func: Value, Metric: "activator_request_concurrency", By: []string{"revision_name"}, Legend: "{{revision_name}}"}}},
		}},
	},
}

var loop = Dashboard{
	UID: "devbox-edit-loop", Title: "Edit Loop", Scope: ByService,
	Text: "How the saved files of the session became live revisions, and where their time went.",
	Rows: []Row{
		{"Overview", []Panel{
			{Title: "Edits", Kind: Stat, Unit: Number, Queries: []Query{
				{Func: Value, Metric: "devbox_loop_edits_total", Legend: "edits"}}},
			{Title: "Edits that Went Live", Kind: Stat, Unit: Fraction, Queries: []Query{
				{Func: Ratio, Metric: "devbox_loop_edits_total", Match: []Matcher{{"outcome", Is, "live"}}, Legend: "live"}}},
			{Title: "Save to Live, Median", Kind: Stat, Unit: Milliseconds, Queries: []Query{
				{Func: Quantile, Metric: "devbox_loop_edit_latencies", Quantile: 0.5, Legend: "p50"}}},
			{Title: "Save to Live, Worst of Twenty", Kind: Stat, Unit: Milliseconds, Queries: []Query{
				{Func: Quantile, Metric: "devbox_loop_edit_latencies", Quantile: 0.95, Legend: "p95"}}},
		}},
		{"Edits", []Panel{
			{Title: "Edits by Outcome", Text: "All of the session, added up.", Kind: Stacked, Unit: Number, Queries: []Query{
				{Func: Value, Metric: "devbox_loop_edits_total", By: []string{"outcome"}, Legend: "{{outcome}}"}}},
			{Title: "Save to Live", Text: "Over all edits of the session.", Kind: Graph, Unit: Milliseconds,
				Queries: quantiles("devbox_loop_edit_latencies", 0, "", 0.5, 0.95)},
		}},
		{"Phases", []Panel{
			{Title: "Mean Time by Phase", Text: "What one edit takes, cut into its phases.", Kind: Stacked, Unit: Milliseconds, Queries: []Query{
				{Func: Mean, Metric: "devbox_loop_phase_latencies", By: []string{"phase"}, Legend: "{{phase}}"}}},
			{Title: "Time by Phase, Worst of Twenty", Kind: Graph, Unit: Milliseconds, Queries: []Query{
				{Func: Quantile, Metric: "devbox_loop_phase_latencies", Quantile: 0.95, By: []string{"phase"}, Legend: "{{phase}}"}}},
		}},
	},
}

var coldStarts = Dashboard{
	UID: "devbox-cold-starts", Title: "Cold Starts",
	Text: "What the requests that woke a revision waited for.",
	Rows: []Row{
		{"Overview", []Panel{
			{Title: "Cold Starts", Kind: Stat, Unit: Number, Queries: []Query{
				{Func: Value, Metric: "activator_cold_start_latencies", Match: whole, Legend: "cold starts"}}},
			{Title: "Cold Start, Median", Kind: Stat, Unit: Milliseconds, Queries: []Query{
				{Func: Quantile, Metric: "activator_cold_start_latencies", Quantile: 0.5, Match: whole, Legend: "p50"}}},
			{Title: "Cold Start, Worst of Twenty", Kind: Stat, Unit: Milliseconds, Queries: []Query{
				{Func: Quantile, Metric: "activator_cold_start_latencies", Quantile: 0.95, Match: whole, Legend: "p95"}}},
		}},
		{"Phases", []Panel{
			{Title: "Mean Time by Phase", Text: "What one cold start takes, cut into its phases.", Kind: Stacked, Unit: Milliseconds, Queries: []Query{
				{Func: Mean, Metric: "activator_cold_start_latencies", Match: parts, By: []string{"phase"}, Legend: "{{phase}}"}}},
			{Title: "Time by Phase, Worst of Twenty", Kind: Graph, Unit: Milliseconds, Queries: []Query{
				{Func: Quantile, Metric: "activator_cold_start_latencies", Quantile: 0.95, Match: parts, By: []string{"phase"}, Legend: "{{phase}}"}}},
		}},
		{"Waiting", []Panel{
			{Title: "Requests Held", Text: "Requests that wait because no pod has room for them.", Kind: Graph, Unit: Number, Queries: []Query{
				{Func: Value, Metric: "activator_requests_held", By: []string{"revision_name"}, Legend: "{{revision_name}}"}}},
			{Title: "Time Held", Text: "How long those that had to wait did.", Kind: Graph, Unit: Milliseconds,
				Queries: quantiles("activator_held_latencies", 0, "", 0.5, 0.95, 0.99)},
			{Title: "Pods that Answer", Kind: Graph, Unit: Number, Queries: []Query{
				{Func: Value, Metric: "activator_pods", By: []string{"revision_name"}, Legend: "{{revision_name}}"}}},
		}},
	},
}

// A cold start's phases are its parts, and the whole.
var (
	whole = []Matcher{{"phase", Is, "total"}}
	parts = []Matcher{{"phase", IsNot, "total"}}
)

// containers leaves out the kubelet's sums over a whole pod, and the pause.
var containers = []Matcher{{"container", NotAlike, "|POD"}}

func ofClass(class string) Query {
	return Query{Func: Rate, Metric: "activator_request_count", Over: lately, Match: []Matcher{{"response_code_class", Is, class}}, Legend: class}
}

// gauge is a gauge over all that the scope has.
func gauge(name, legend string) Query { return Query{Func: Value, Metric: name, Legend: legend} }

// quantiles are several of one histogram, by a label or over all.
func quantiles(name string, over time.Duration, by string, qs ...float64) []Query {
	out := make([]Query, len(qs))
	for i, q := range qs {
		legend := "p" + number(q*100)
		out[i] = Query{Func: Quantile, Metric: name, Over: over, Quantile: q, Legend: legend}
		if by != "" {
			out[i].By, out[i].Legend = []string{by}, "{{"+by+"}} "+legend
		}
	}
	return out
}
