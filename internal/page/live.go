package page

import (
	"context"
	"math"
	"time"

	"github.com/kind-in-a-box/devbox/internal/panel"
)

const (
	now     = 10 * time.Second // is the window of what happens now
	span    = 10 * time.Minute // of the charts
	metrics = 5 * time.Second  // an answer may take
)

// number is a float that JSON can say: what is none is null.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return []byte(panel.Short(float64(n))), nil
}

// quantity is something of a service that is shown live.
type quantity struct {
	name  string
	query panel.Query
}

var ofService = []string{"namespace_name", "service_name"}

// quantities are what the charts of a service show.
var quantities = []quantity{
	{"rate", panel.Query{Func: panel.Rate, Metric: "activator_request_count", Over: now, By: ofService}},
	{"errors", panel.Query{Func: panel.Rate, Metric: "activator_request_count", Over: now, By: ofService,
		Match: []panel.Matcher{{Label: "response_code_class", Op: panel.Is, Value: "5xx"}}}},
	{"p50", latency(0.5)},
	{"p95", latency(0.95)},
	{"held", panel.Query{Func: panel.Value, Metric: "activator_requests_held", By: ofService}},
	{"wanted", panel.Query{Func: panel.Value, Metric: "autoscaler_desired_pods", By: ofService}},
	{"answer", panel.Query{Func: panel.Value, Metric: "autoscaler_actual_pods", By: ofService}},
}

func latency(q float64) panel.Query {
	return panel.Query{Func: panel.Quantile, Metric: "activator_request_latencies", Over: now, Quantile: q, By: ofService}
}

// perRevision is a revision's share of the rate.
var perRevision = panel.Query{Func: panel.Rate, Metric: "activator_request_count", Over: now, By: []string{"namespace_name", "revision_name"}}

// reading is what the metrics say at some times.
type reading struct {
	Times     []int64                        `json:"times"`    // milliseconds since 1970
	Services  map[string]map[string][]number `json:"services"` // by namespace/name and quantity
	Revisions map[string]number              `json:"revisions"`
	Dropped   int                            `json:"dropped,omitempty"` // series that there was no room for
}

// watchMetrics looks at the metrics until ctx ends. Metrics that are not to be
// had leave a gap; whether the box is away is for others to say.
func (s *Server) watchMetrics(ctx context.Context, box Box) error {
	if box.Metrics == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.look(ctx, box)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) look(ctx context.Context, box Box) {
	asking, cancel := context.WithTimeout(ctx, metrics)
	defer cancel()
	families, err := box.Metrics(asking)
	at := time.Now()
	if err != nil {
		if ctx.Err() == nil {
			s.hub.put("metrics", map[string]string{"error": err.Error()})
		}
		return
	}
	s.hub.put("metrics", map[string]string{})
	s.ring.Add(at, families)
	s.hub.tell("tick", s.read([]time.Time{at}))
	if s.cold.take(at, families) {
		s.hub.put("cold", s.cold.last())
	}
}

// history is what the charts of a page begin with.
func (s *Server) history(at time.Time) reading {
	var times []time.Time
	for t := at.Add(-span); !t.After(at); t = t.Add(lookEvery) {
		times = append(times, t)
	}
	return s.read(times)
}

func (s *Server) read(times []time.Time) reading {
	r := reading{Services: map[string]map[string][]number{}, Revisions: map[string]number{}, Dropped: s.ring.Dropped()}
	for _, t := range times {
		r.Times = append(r.Times, t.UnixMilli())
	}
	for _, q := range quantities {
		for _, series := range s.ring.Evaluate(q.query, panel.Scope{}, times) {
			key := series.Labels["namespace_name"] + "/" + series.Labels["service_name"]
			if r.Services[key] == nil {
				r.Services[key] = map[string][]number{}
			}
			r.Services[key][q.name] = numbers(series.Values)
		}
	}
	for _, series := range s.ring.Evaluate(perRevision, panel.Scope{}, times[len(times)-1:]) {
		r.Revisions[series.Labels["namespace_name"]+"/"+series.Labels["revision_name"]] = number(series.Values[0])
	}
	return r
}

func numbers(values []float64) []number {
	out := make([]number, len(values))
	for i, v := range values {
		out[i] = number(v)
	}
	return out
}
