package settings

import (
	"strings"
	"testing"
)

func TestTruth(t *testing.T) {
	for text, want := range map[string]bool{"true": true, "1": true, "false": false} {
		if got, err := Truth(map[string]string{"on": text}, "on"); got != want || err != nil {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	if got, err := Truth(nil, "on"); got || err != nil {
		t.Errorf("nothing: got %v, %v", got, err)
	}
	if _, err := Truth(map[string]string{"on": "yes"}, "on"); err == nil || err.Error() != `on: "yes" must be true or false` {
		t.Errorf("got %v", err)
	}
}

func TestParseOTelNames(t *testing.T) {
	for _, test := range []struct {
		data map[string]string
		want OTelNames
		err  string
	}{
		{},
		{data: map[string]string{"metrics-protocol": "none", "request-metrics-protocol": "none"}},
		{data: map[string]string{"metrics-protocol": "prometheus"}, want: OTelNames{Parts: true}},
		{data: map[string]string{"request-metrics-protocol": "prometheus"}, want: OTelNames{Requests: true}},
		{data: map[string]string{"metrics.backend-destination": "prometheus"}},
		{data: map[string]string{"metrics-protocol": "http/protobuf"}, err: `metrics-protocol: "http/protobuf" must be`},
		{data: map[string]string{"request-metrics-protocol": "grpc"}, err: `request-metrics-protocol: "grpc" must be`},
		{data: map[string]string{"metrics-protocol": "prometheus", "request-metrics-protocol": "Prometheus"}, err: `request-metrics-protocol: "Prometheus" must be`},
		{data: map[string]string{"metrics.backend-destination": "opencensus"}, err: "metrics.backend-destination"},
		{data: map[string]string{"metrics.request-metrics-backend-destination": "stackdriver"}, err: "metrics.request-metrics-backend-destination"},
	} {
		got, err := ParseOTelNames(test.data)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%v: got %+v, %v", test.data, got, err)
		}
	}
}
