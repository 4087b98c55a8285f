package trace

import (
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	type data = map[string]string
	for name, test := range map[string]struct {
		observability, tracing data
		want                   Settings
	}{
		"nothing":      {},
		"none":         {data{"tracing-protocol": "none"}, data{"backend": "none"}, Settings{}},
		"OTLP":         {data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://c:4318/v1/traces", "tracing-sampling-rate": "0.1"}, nil, Settings{OTLP, "http://c:4318/v1/traces", 0.1}},
		"OTLP at root": {data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "https://c:4318"}, nil, Settings{OTLP, "https://c:4318/v1/traces", 0}},
		"Zipkin":       {nil, data{"backend": "zipkin", "zipkin-endpoint": "http://z:9411/api/v2/spans", "sample-rate": "0.5"}, Settings{Zipkin, "http://z:9411/api/v2/spans", 0.5}},
		"Zipkin's own": {nil, data{"backend": "zipkin", "zipkin-endpoint": "http://z:9411/"}, Settings{Zipkin, "http://z:9411/api/v2/spans", 0.1}},
		"debug":        {nil, data{"backend": "zipkin", "zipkin-endpoint": "http://z:9411", "sample-rate": "0", "debug": "true"}, Settings{Zipkin, "http://z:9411/api/v2/spans", 1}},
		"both": {
			data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://c/x"},
			data{"backend": "zipkin", "zipkin-endpoint": "http://z:9411"}, Settings{OTLP, "http://c/x", 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c Choice
			if err := c.Take(ObservabilityConfig, test.observability); err != nil {
				t.Error(err)
			}
			if err := c.Take(TracingConfig, test.tracing); err != nil {
				t.Error(err)
			}
			if got := c.Settings(); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestWrongSettings are refused by their key, and change nothing.
func TestWrongSettings(t *testing.T) {
	type data = map[string]string
	right := data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://c"}
	for _, test := range []struct {
		config string
		data   data
		says   string
	}{
		{ObservabilityConfig, data{"tracing-protocol": "grpc", "tracing-endpoint": "http://c"}, "tracing-protocol: grpc is Knative's"},
		{ObservabilityConfig, data{"tracing-protocol": "stdout"}, "tracing-protocol: stdout"},
		{ObservabilityConfig, data{"tracing-protocol": "carrier pigeon"}, `tracing-protocol: "carrier pigeon"`},
		{ObservabilityConfig, data{"tracing-protocol": "http/protobuf"}, `tracing-endpoint: ""`},
		{ObservabilityConfig, data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "c:4318"}, "tracing-endpoint: "},
		{ObservabilityConfig, data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://"}, "tracing-endpoint: "},
		{ObservabilityConfig, data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://:80"}, "tracing-endpoint: "},
		{ObservabilityConfig, data{"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://c\n"}, "tracing-endpoint: "},
		{ObservabilityConfig, data{"tracing-sampling-rate": "10%"}, `tracing-sampling-rate: "10%"`},
		{ObservabilityConfig, data{"tracing-sampling-rate": "1.1"}, "tracing-sampling-rate: "},
		{ObservabilityConfig, data{"tracing-sampling-rate": "-1"}, "tracing-sampling-rate: "},
		{ObservabilityConfig, data{"tracing-sampling-rate": "NaN"}, "tracing-sampling-rate: "},
		{TracingConfig, data{"backend": "stackdriver"}, `backend: "stackdriver"`},
		{TracingConfig, data{"backend": "zipkin"}, "zipkin-endpoint: "},
		{TracingConfig, data{"sample-rate": "2"}, "sample-rate: "},
		{TracingConfig, data{"debug": "perhaps"}, "debug: "},
	} {
		var c Choice
		if err := c.Take(ObservabilityConfig, right); err != nil {
			t.Fatal(err)
		}
		err := c.Take(test.config, test.data)
		if err == nil || !strings.HasPrefix(err.Error(), test.says) {
			t.Errorf("%s %v: got %v, want it to say %s", test.config, test.data, err, test.says)
		}
		if got := c.Settings(); got.Endpoint != "http://c/v1/traces" {
			t.Errorf("%v: what holds is %+v", test.data, got)
		}
	}
}
