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
	for _, m := range [...]struct {
		name, kind, help string
		write            func(rev *revision, name, labels string)
	}{
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
		proxy.Describe(w, m.name, m.kind, m.help)
		for i, rev := range all {
			m.write(rev, m.name, labels[i])
		}
	}
}

func gauge(w io.Writer, of func(*revision) int) func(*revision, string, string) {
	return func(rev *revision, name, labels string) { fmt.Fprintf(w, "%s{%s} %d\n", name, labels, of(rev)) }
}

// labels are the revision's names. All are the API server's, so none can have
// in it what would have to be escaped.
func (r *revision) labels() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("namespace_name=%q,service_name=%q,configuration_name=%q,revision_name=%q",
		r.key.Namespace, r.spec.service, r.spec.configuration, r.key.Name)
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
