package queue

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// bounds are the upper bounds of the latency histogram in milliseconds,
// Knative's own.
var bounds = [...]float64{5, 10, 20, 40, 60, 80, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 2000, 5000, 10000, 20000, 50000, 100000}

// classes are the response code classes 1xx to 5xx, by their first digit.
const classes = 5

// metrics are the numbers of one pod. Text in Prometheus' format is simple
// enough to be written by hand, which spares every pod a client library.
type metrics struct {
	labels string
	count  proxy.Counter
	byCode [classes]histogram
}

// histogram is a latency histogram that is written without a lock.
type histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	micros  atomic.Uint64
}

func newMetrics(l Labels) *metrics {
	return &metrics{labels: fmt.Sprintf("namespace_name=%q,service_name=%q,configuration_name=%q,revision_name=%q,pod_name=%q",
		l.Namespace, l.Service, l.Configuration, l.Revision, l.Pod)}
}

// observe counts a request that is over. Status 0 means that it was aborted
// before it had one.
func (m *metrics) observe(status int, took time.Duration) {
	class := status / 100
	if class < 1 || class > classes {
		class = classes
	}
	h := &m.byCode[class-1]
	ms := float64(took) / float64(time.Millisecond)
	i := 0
	for i < len(bounds) && ms > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.micros.Add(uint64(took.Microseconds()))
}

// autometrics serves what an autoscaler reads: averages since the last time
// it was asked.
func (m *metrics) autometrics() http.Handler {
	return text(func(w io.Writer) {
		r := m.count.Report(time.Now())
		m.gauge(w, "queue_average_concurrent_requests", "Time-weighted average of requests in flight since the last scrape.", r.Concurrency)
		m.gauge(w, "queue_requests_since_last_scrape", "Requests that arrived since the last scrape.", float64(r.Requests))
		m.gauge(w, "queue_requests_in_flight", "Requests in flight.", float64(r.InFlight))
	})
}

// usermetrics serves request counts and latencies by response code class.
func (m *metrics) usermetrics(waiting func() int) http.Handler {
	return text(func(w io.Writer) {
		m.gauge(w, "revision_queue_depth", "Requests that wait for containerConcurrency.", float64(waiting()))
		fmt.Fprint(w, "# HELP revision_request_count Requests, by class of the response code.\n# TYPE revision_request_count counter\n")
		for class := range m.byCode {
			if n := m.byCode[class].total(); n > 0 {
				fmt.Fprintf(w, "revision_request_count{%s,response_code_class=\"%dxx\"} %d\n", m.labels, class+1, n)
			}
		}
		fmt.Fprint(w, "# HELP revision_request_latencies Time to answer in milliseconds.\n# TYPE revision_request_latencies histogram\n")
		for class := range m.byCode {
			m.byCode[class].write(w, fmt.Sprintf("%s,response_code_class=\"%dxx\"", m.labels, class+1))
		}
	})
}

func (m *metrics) gauge(w io.Writer, name, help string, value float64) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s{%s} %g\n", name, help, name, name, m.labels, value)
}

func (h *histogram) total() (n uint64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

func (h *histogram) write(w io.Writer, labels string) {
	if h.total() == 0 {
		return
	}
	var sum uint64
	for i := range h.buckets {
		sum += h.buckets[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		fmt.Fprintf(w, "revision_request_latencies_bucket{%s,le=%q} %d\n", labels, bound, sum)
	}
	fmt.Fprintf(w, "revision_request_latencies_sum{%s} %g\n", labels, float64(h.micros.Load())/1000)
	fmt.Fprintf(w, "revision_request_latencies_count{%s} %d\n", labels, sum)
}

func text(write func(io.Writer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		write(w)
	})
}
