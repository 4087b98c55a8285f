package activator

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// BenchmarkTraced is what tracing costs a request over real connections: the
// same road three times in one process, asked in turns.
func BenchmarkTraced(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	b.Cleanup(collector.Close)
	transport := proxy.NewTransport(proxy.TransportConfig{Idle: time.Minute})
	b.Cleanup(transport.CloseIdleConnections)

	roads := []struct {
		name string
		rate float64
		box  *box
		took []time.Duration
	}{{name: "off"}, {name: "1-percent", rate: 0.01}, {name: "100-percent", rate: 1}}
	for i := range roads {
		box := newBox(b)
		var s trace.Settings
		if roads[i].rate > 0 {
			s = trace.Settings{Protocol: trace.OTLP, Endpoint: collector.URL + "/v1/traces", Rate: roads[i].rate}
		}
		box.traced(s)
		box.pod("p", "hello-00001", says("hello"), func(c *podConfig) { c.queue.Tracing = s })
		box.route(to("hello-00001", 100))
		box.answers("hello-00001", 1)
		roads[i].box = box
	}
	for b.Loop() {
		for i := range roads {
			began := time.Now()
			ask(b, transport, roads[i].box.url)
			roads[i].took = append(roads[i].took, time.Since(began))
		}
	}
	for _, road := range roads {
		slices.Sort(road.took)
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(road.took[len(road.took)*p/100].Microseconds()), fmt.Sprintf("%s-p%d-µs", road.name, p))
		}
	}
}
