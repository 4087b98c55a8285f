package queue

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// metrics are the numbers of one pod.
type metrics struct {
	labels    string
	count     proxy.Counter
	responses proxy.Responses
}

func newMetrics(l Labels) *metrics {
	return &metrics{labels: fmt.Sprintf("namespace_name=%q,service_name=%q,configuration_name=%q,revision_name=%q,pod_name=%q",
		l.Namespace, l.Service, l.Configuration, l.Revision, l.Pod)}
}

// autometrics serves what an autoscaler goes by. The rate of busy seconds is
// the average concurrency, over whatever time the reader likes.
func (m *metrics) autometrics() http.Handler {
	return proxy.Metrics(func(w io.Writer) {
		t := m.count.Totals(time.Now())
		m.write(w, "queue_requests_total", "counter", "Requests that arrived.", float64(t.Requests))
		m.write(w, "queue_busy_seconds_total", "counter", "Seconds that requests were in flight, added up.", t.Busy.Seconds())
		m.write(w, "queue_requests_in_flight", "gauge", "Requests in flight.", float64(t.InFlight))
	})
}

// usermetrics serves request counts and latencies by response code class.
func (m *metrics) usermetrics(waiting func() int) http.Handler {
	return proxy.Metrics(func(w io.Writer) {
		m.write(w, "revision_queue_depth", "gauge", "Requests that wait for containerConcurrency.", float64(waiting()))
		proxy.Describe(w, "revision_request_count", "counter", "Requests, by class of the response code.")
		m.responses.WriteCounts(w, "revision_request_count", m.labels)
		proxy.Describe(w, "revision_request_latencies", "histogram", "Time to answer in milliseconds.")
		m.responses.WriteLatencies(w, "revision_request_latencies", m.labels)
	})
}

func (m *metrics) write(w io.Writer, name, kind, help string, value float64) {
	proxy.Describe(w, name, kind, help)
	fmt.Fprintf(w, "%s{%s} %g\n", name, m.labels, value)
}
