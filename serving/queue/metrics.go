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
	responses proxy.Responses // of all requests, from when they came
	app       proxy.Responses // of those the container was given, from when it was
	otel      string          // labels of OpenTelemetry's names; "" where those are not asked for
}

func newMetrics(c Config) *metrics {
	l := c.Labels
	m := &metrics{labels: fmt.Sprintf("namespace_name=%q,service_name=%q,configuration_name=%q,revision_name=%q,pod_name=%q",
		l.Namespace, l.Service, l.Configuration, l.Revision, l.Pod)}
	if c.OTelMetrics {
		m.otel = fmt.Sprintf("k8s_namespace_name=%q,kn_service_name=%q,kn_configuration_name=%q,kn_revision_name=%q,k8s_pod_name=%q",
			l.Namespace, l.Service, l.Configuration, l.Revision, l.Pod)
	}
	return m
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

// usermetrics serves request counts and latencies by response code, and what
// the sidecar itself takes.
func (m *metrics) usermetrics(waiting func() int) http.Handler {
	return proxy.Metrics(func(w io.Writer) {
		m.write(w, "revision_queue_depth", "gauge", "Requests that wait for containerConcurrency.", float64(waiting()))
		m.writeResponses(w, "revision_request", "Requests", &m.responses)
		m.writeResponses(w, "revision_app_request", "Requests that the container was given", &m.app)
		if m.otel != "" {
			m.writeOTel(w, waiting())
		}
		proxy.WriteProcess(w)
	})
}

// writeOTel writes what upstream has had since 1.19, as OpenTelemetry's
// exporter for Prometheus names it.
func (m *metrics) writeOTel(w io.Writer, waiting int) {
	proxy.Describe(w, "kn_serving_queue_depth", "gauge", "Requests that wait for containerConcurrency.")
	fmt.Fprintf(w, "kn_serving_queue_depth{%s} %d\n", m.otel, waiting)
	proxy.Describe(w, "kn_serving_invocation_duration_seconds", "histogram", "Time of the container to answer.")
	m.app.WriteSeconds(w, "kn_serving_invocation_duration_seconds", m.otel)
	proxy.Describe(w, "http_server_request_duration_seconds", "histogram", "Time to answer.")
	m.responses.WriteSeconds(w, "http_server_request_duration_seconds", m.otel)
	proxy.Describe(w, "http_client_request_duration_seconds", "histogram", "Time of the container to answer.")
	m.app.WriteSeconds(w, "http_client_request_duration_seconds", m.otel)
}

func (m *metrics) writeResponses(w io.Writer, name, what string, r *proxy.Responses) {
	proxy.Describe(w, name+"_count", "counter", what+", by response code.")
	r.WriteCounts(w, name+"_count", m.labels)
	proxy.Describe(w, name+"_latencies", "histogram", what+": time to answer in milliseconds.")
	r.WriteLatencies(w, name+"_latencies", m.labels)
}

func (m *metrics) write(w io.Writer, name, kind, help string, value float64) {
	proxy.Describe(w, name, kind, help)
	fmt.Fprintf(w, "%s{%s} %g\n", name, m.labels, value)
}
