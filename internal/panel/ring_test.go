package panel

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dto "github.com/prometheus/client_model/go"
)

var origin = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

func at(seconds int) time.Time { return origin.Add(time.Duration(seconds) * time.Second) }

func labelled(labels ...string) []*dto.LabelPair {
	var out []*dto.LabelPair
	for i := 0; i < len(labels); i += 2 {
		out = append(out, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	return out
}

func counter(value float64, labels ...string) *dto.Metric {
	return &dto.Metric{Label: labelled(labels...), Counter: &dto.Counter{Value: &value}}
}

func gaugeOf(value float64, labels ...string) *dto.Metric {
	return &dto.Metric{Label: labelled(labels...), Gauge: &dto.Gauge{Value: &value}}
}

// observed is a histogram with buckets up to 10, 100 and 1000.
func observed(sum float64, counts [4]uint64, labels ...string) *dto.Metric {
	h := &dto.Histogram{SampleSum: &sum, SampleCount: &counts[3]}
	for i, upper := range []float64{10, 100, 1000} {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &upper, CumulativeCount: &counts[i]})
	}
	return &dto.Metric{Label: labelled(labels...), Histogram: h}
}

func family(name string, metrics ...*dto.Metric) map[string]*dto.MetricFamily {
	return map[string]*dto.MetricFamily{name: {Name: &name, Metric: metrics}}
}

var near = cmpopts.EquateApprox(1e-9, 0)

func valuesAt(r *Ring, q Query, s Scope, seconds int) map[string]float64 {
	out := map[string]float64{}
	for _, series := range r.Evaluate(q, s, []time.Time{at(seconds)}) {
		out[series.Name] = series.Values[0]
	}
	return out
}

// TestRate has what Prometheus answers for the same samples, by hand.
func TestRate(t *testing.T) {
	const name = "activator_request_count"
	tests := map[string]struct {
		samples map[int]float64 // by second, each tenth
		to      int
		want    float64
	}{
		// 5 samples of (0, 60]: 40 s with 400; 10 s to the begin and 10 s to the end, both within an interval
		"steady, to both ends": {map[int]float64{0: 1000, 10: 1100, 20: 1200, 30: 1300, 40: 1400, 50: 1500}, 60, 400.0 * 60 / 40 / 60},
		// grown by 10, then a new process: 5, and 10 more; 50 s from 10 to 60
		"a reset":                 {map[int]float64{10: 100, 20: 110, 30: 5, 40: 15, 50: 15, 60: 15}, 60, 25.0 * (50 + 10) / 50 / 60},
		"never below zero":        {map[int]float64{10: 0, 20: 10, 30: 20, 40: 30, 50: 40, 60: 50}, 60, 50.0 * 50 / 50 / 60},
		"half an interval before": {map[int]float64{40: 100, 50: 110, 60: 120}, 60, 20.0 * (20 + 5) / 20 / 60},
		"one sample":              {map[int]float64{60: 100}, 60, math.NaN()},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			r := NewRing(100, 10)
			for second := 0; second <= test.to; second += 10 {
				if v, ok := test.samples[second]; ok {
					r.Add(at(second), family(name, counter(v, "revision_name", "a")))
				}
			}
			q := Query{Func: Rate, Metric: name, Over: time.Minute, Legend: "rate"}
			if diff := cmp.Diff(map[string]float64{"rate": test.want}, valuesAt(r, q, Scope{}, test.to), near, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
			q.Func = Increase
			if diff := cmp.Diff(map[string]float64{"rate": test.want * 60}, valuesAt(r, q, Scope{}, test.to), near, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCounterBornBetweenTwoLooks(t *testing.T) {
	const name = "activator_request_count"
	r := NewRing(100, 10)
	r.Add(at(0), nil)
	r.Add(at(10), family(name, counter(1, "response_code", "500")))
	r.Add(at(20), family(name, counter(1, "response_code", "500")))
	q := Query{Func: Increase, Metric: name, Over: time.Minute, By: []string{"response_code"}, Legend: "{{response_code}}"}
	if got := valuesAt(r, q, Scope{}, 20)["500"]; got != 1 {
		t.Errorf("an error that was the first counts %v, want 1", got)
	}
}

func TestSumsAndScope(t *testing.T) {
	const name = "autoscaler_actual_pods"
	r := NewRing(10, 10)
	r.Add(at(0), family(name,
		gaugeOf(2, "namespace_name", "default", "revision_name", "a-1", "configuration_name", "a"),
		gaugeOf(3, "namespace_name", "default", "revision_name", "a-2", "configuration_name", "a"),
		gaugeOf(4, "namespace_name", "other", "revision_name", "b-1", "configuration_name", "b")))
	by := Query{Func: Value, Metric: name, By: []string{"revision_name"}, Legend: "{{revision_name}} pods"}
	for title, test := range map[string]struct {
		query Query
		scope Scope
		want  map[string]float64
	}{
		"all":             {gauge(name, "pods"), Scope{}, map[string]float64{"pods": 9}},
		"a configuration": {gauge(name, "pods"), Scope{Configuration: "a"}, map[string]float64{"pods": 5}},
		"by revision":     {by, Scope{Namespace: "default"}, map[string]float64{"a-1 pods": 2, "a-2 pods": 3}},
		"an expression":   {by, Scope{Revision: ".*-1"}, map[string]float64{"a-1 pods": 2, "b-1 pods": 4}},
		"a whole value":   {by, Scope{Revision: "a"}, map[string]float64{}},
		"no expression":   {by, Scope{Revision: "("}, map[string]float64{}},
	} {
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(test.want, valuesAt(r, test.query, test.scope, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestQuantileAndMeanOfBuckets(t *testing.T) {
	const name = "activator_cold_start_latencies"
	r := NewRing(10, 100)
	r.Add(at(0), family(name,
		observed(150, [4]uint64{1, 3, 4, 4}, "revision_name", "a", "phase", "sandbox"),
		observed(20, [4]uint64{2, 2, 2, 2}, "revision_name", "a", "phase", "created")))
	q := Query{Func: Quantile, Metric: name, Quantile: 0.5, By: []string{"phase"}, Legend: "{{phase}}"}
	// rank 2 of 4: the second bucket holds 2nd and 3rd, so half of 10..100; rank 1 of 2: half of 0..10
	if diff := cmp.Diff(map[string]float64{"sandbox": 55, "created": 5}, valuesAt(r, q, Scope{}, 0), near); diff != "" {
		t.Error(diff)
	}
	q.Func = Mean
	if diff := cmp.Diff(map[string]float64{"sandbox": 37.5, "created": 10}, valuesAt(r, q, Scope{}, 0), near); diff != "" {
		t.Error(diff)
	}
}

func TestQuantile(t *testing.T) {
	inf := math.Inf(1)
	for title, test := range map[string]struct {
		q       float64
		buckets []bucket
		want    float64
	}{
		"none":              {0.5, nil, math.NaN()},
		"no observation":    {0.5, []bucket{{10, 0}, {inf, 0}}, math.NaN()},
		"no last bucket":    {0.5, []bucket{{10, 1}, {20, 2}}, math.NaN()},
		"first bucket":      {0.5, []bucket{{10, 4}, {inf, 4}}, 5},
		"in between":        {0.75, []bucket{{inf, 4}, {20, 4}, {10, 2}}, 15},
		"in the open end":   {0.99, []bucket{{10, 1}, {20, 1}, {inf, 4}}, 20},
		"not ascending":     {0.5, []bucket{{10, 2}, {20, 1.999}, {inf, 2}}, 5},
		"below zero":        {0.1, []bucket{{-5, 2}, {inf, 4}}, -5},
		"least of nothing":  {0, []bucket{{10, 0}, {20, 2}, {inf, 2}}, 0},
		"the greatest of 3": {1, []bucket{{10, 1}, {20, 3}, {inf, 3}}, 20},
	} {
		t.Run(title, func(t *testing.T) {
			if got := quantile(test.q, test.buckets); !cmp.Equal(got, test.want, near, cmpopts.EquateNaNs()) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestRatio(t *testing.T) {
	const name = "activator_request_count"
	good := Query{Func: Ratio, Metric: name, Over: time.Minute, Match: []Matcher{{"response_code_class", IsNot, "5xx"}}, Legend: "good"}
	for title, test := range map[string]struct {
		ok, failed float64
		want       float64
	}{
		"three of four": {3, 1, 0.75},
		"none at all":   {0, 0, math.NaN()},
		"all failed":    {0, 4, 0},
	} {
		t.Run(title, func(t *testing.T) {
			r := NewRing(10, 10)
			for look := range 4 {
				n := float64(look)
				metrics := []*dto.Metric{counter(n*test.failed, "response_code_class", "5xx")}
				if test.ok > 0 {
					metrics = append(metrics, counter(n*test.ok, "response_code_class", "2xx"))
				}
				r.Add(at(look*10), family(name, metrics...))
			}
			if diff := cmp.Diff(map[string]float64{"good": test.want}, valuesAt(r, good, Scope{}, 30), near, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRingIsBounded(t *testing.T) {
	const name = "autoscaler_actual_pods"
	r := NewRing(3, 5)
	for look := range 100 {
		var pods []*dto.Metric
		for i := range 3 {
			pods = append(pods, gaugeOf(1, "revision_name", fmt.Sprintf("r-%d-%d", look, i)))
		}
		r.Add(at(look), family(name, pods...))
		if r.Len() > 5 {
			t.Fatalf("%d series", r.Len())
		}
	}
	if r.Dropped() == 0 {
		t.Error("nothing was said of the series that had no room")
	}
	for look := range 4 {
		r.Add(at(100+look), nil)
	}
	if r.Len() != 0 {
		t.Errorf("%d series are left of what has gone", r.Len())
	}
}

func TestGapWhileTheBoxIsAway(t *testing.T) {
	const name = "autoscaler_actual_pods"
	r := NewRing(100, 5)
	r.Add(at(0), family(name, gaugeOf(1)))
	r.Add(at(60), family(name, gaugeOf(2)))
	got := r.Evaluate(gauge(name, "pods"), Scope{}, []time.Time{at(-1), at(0), at(15), at(30), at(60)})[0].Values
	want := []float64{math.NaN(), 1, 1, math.NaN(), 2}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
}
