package activator

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// writeMetrics writes the numbers of every revision that the table names or
// that has a request: a revision that is gone takes its series along. Those
// that Knative has too have its names. docs/metrics.md says what each means.
func (r *roads) writeMetrics(w io.Writer) {
	var all []*revision
	for _, rev := range r.all() {
		all = append(all, rev)
	}
	slices.SortFunc(all, func(a, b *revision) int { return cmp.Compare(a.key.String(), b.key.String()) })
	labels := make([]string, len(all))
	for i, rev := range all {
		labels[i] = rev.labels()
	}
	for _, m := range []number{
		{"activator_request_concurrency", "gauge", "Requests in flight, those that wait for a pod included.",
			gauge(w, func(r *revision) int { return r.count.InFlight() })},
		{"activator_requests_held", "gauge", "Requests that wait for a pod.",
			gauge(w, func(r *revision) int { return r.waits() })},
		{"activator_pods", "gauge", "Pods that answer.",
			gauge(w, func(r *revision) int { return r.answering() })},
		{"activator_request_count", "counter", "Requests, by response code.",
			func(rev *revision, name, labels string) { rev.responses.WriteCounts(w, name, labels) }},
		{"activator_request_latencies", "histogram", "Time to answer in milliseconds.",
			func(rev *revision, name, labels string) { rev.responses.WriteLatencies(w, name, labels) }},
		{"activator_held_latencies", "histogram", "Time in milliseconds that requests waited for a pod, of those that had to.",
			func(rev *revision, name, labels string) { rev.heldFor.Write(w, name, labels) }},
		{"activator_cold_start_latencies", "histogram", "Where the time of cold starts went, in milliseconds.",
			func(rev *revision, name, labels string) { rev.colds.write(w, name, labels) }},
	} {
		m.writeAll(w, all, labels)
	}
	if r.otel.Load() {
		r.writeOTel(w, all)
	}
}

// number is one that every revision has.
type number struct {
	name, kind, help string
	write            func(rev *revision, name, labels string)
}

func (m number) writeAll(w io.Writer, all []*revision, labels []string) {
	proxy.Describe(w, m.name, m.kind, m.help)
	for i, rev := range all {
		m.write(rev, m.name, labels[i])
	}
}

// writeOTel writes what upstream has had since 1.19, as OpenTelemetry's
// exporter for Prometheus names it.
func (r *roads) writeOTel(w io.Writer, all []*revision) {
	labels := make([]string, len(all))
	for i, rev := range all {
		labels[i] = rev.inFormat("k8s_namespace_name=%q,kn_service_name=%q,kn_configuration_name=%q,kn_revision_name=%q")
	}
	number{"kn_revision_request_concurrency", "gauge", "Requests in flight, those that wait for a pod included.",
		gauge(w, func(r *revision) int { return r.count.InFlight() })}.writeAll(w, all, labels)
	number{"http_server_request_duration_seconds", "histogram", "Time to answer.",
		func(rev *revision, name, labels string) { rev.responses.WriteSeconds(w, name, labels) }}.writeAll(w, all, labels)
}

func gauge(w io.Writer, of func(*revision) int) func(*revision, string, string) {
	return func(rev *revision, name, labels string) { fmt.Fprintf(w, "%s{%s} %d\n", name, labels, of(rev)) }
}

// labels are the revision's names.
func (r *revision) labels() string {
	return r.inFormat("namespace_name=%q,service_name=%q,configuration_name=%q,revision_name=%q")
}

// inFormat are the revision's names in a format. All are the API server's, so none
// can have in it what would have to be escaped.
func (r *revision) inFormat(format string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf(format, r.key.Namespace, r.spec.service, r.spec.configuration, r.key.Name)
}

// waits is how many requests wait for a pod.
func (r *revision) waits() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting.Len()
}

// answering is how many pods answer.
func (r *revision) answering() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}
