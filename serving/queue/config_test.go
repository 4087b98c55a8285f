package queue

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/serving/trace"
)

func TestFromEnv(t *testing.T) {
	defaults := Config{
		ServingPort: 8012, AdminPort: 8022, AutometricPort: 9090, UsermetricPort: 9091,
		UserAddress: "127.0.0.1:8080", DrainQuiet: time.Second,
	}
	for name, test := range map[string]struct {
		env     string
		want    func(*Config)
		wantErr string
	}{
		"nothing": {want: func(*Config) {}},
		"all": {
			env: `QUEUE_SERVING_PORT=18012
QUEUE_ADMIN_PORT=18022
QUEUE_AUTOMETRIC_PORT=19090
QUEUE_USERMETRIC_PORT=19091
QUEUE_LISTEN_HOST=127.0.0.9
USER_PORT=9000
USER_PROTOCOL=h2c
CONTAINER_CONCURRENCY=7
REVISION_TIMEOUT_SECONDS=300
REVISION_RESPONSE_START_TIMEOUT_SECONDS=200
REVISION_IDLE_TIMEOUT_SECONDS=100
DRAIN_QUIET_PERIOD=250ms
SERVING_NAMESPACE=ns
SERVING_SERVICE=svc
SERVING_CONFIGURATION=cfg
SERVING_REVISION=rev
SERVING_POD=pod
SERVING_POD_IP=10.0.0.1
SERVING_REQUEST_LOG_TEMPLATE={{.Request.URL}}
SERVING_ENABLE_PROBE_REQUEST_LOG=true
TRACING_PROTOCOL=zipkin
TRACING_ENDPOINT=http://zipkin:9411/api/v2/spans
TRACING_SAMPLING_RATE=0.5
SERVING_READINESS_PROBE={"httpGet":{"path":"/healthz?full=1","port":8080,"scheme":"HTTP"},"periodSeconds":2,"successThreshold":1}`,
			want: func(c *Config) {
				c.ServingPort, c.AdminPort, c.AutometricPort, c.UsermetricPort = 18012, 18022, 19090, 19091
				c.ListenHost, c.UserAddress, c.UserH2C, c.Concurrency = "127.0.0.9", "127.0.0.1:9000", true, 7
				c.Timeout, c.ResponseStart, c.Idle, c.DrainQuiet = 300*time.Second, 200*time.Second, 100*time.Second, 250*time.Millisecond
				c.RequestLogTemplate, c.LogProbes, c.PodIP = "{{.Request.URL}}", true, "10.0.0.1"
				c.Tracing = trace.Settings{Protocol: trace.Zipkin, Endpoint: "http://zipkin:9411/api/v2/spans", Rate: 0.5}
				c.Labels = Labels{"ns", "svc", "cfg", "rev", "pod"}
				c.Probe = Probe{HTTPGet: &HTTPGet{Path: "/healthz?full=1", Port: 8080, Scheme: "HTTP"}, PeriodSeconds: 2, SuccessThreshold: 1}
			},
		},
		"a port as text":    {env: `SERVING_READINESS_PROBE={"tcpSocket":{"port":"8080"}}`, want: func(c *Config) { c.Probe.TCPSocket = &TCPSocket{Port: 8080} }},
		"no number":         {env: "USER_PORT=http", wantErr: `reading USER_PORT="http"`},
		"a negative number": {env: "CONTAINER_CONCURRENCY=-1", wantErr: "CONTAINER_CONCURRENCY"},
		"no duration":       {env: "DRAIN_QUIET_PERIOD=1", wantErr: "DRAIN_QUIET_PERIOD"},
		"no share":          {env: "TRACING_SAMPLING_RATE=2", wantErr: "TRACING_SAMPLING_RATE"},
		"no probe":          {env: "SERVING_READINESS_PROBE={", wantErr: "SERVING_READINESS_PROBE"},
	} {
		t.Run(name, func(t *testing.T) {
			env := make(map[string]string)
			for line := range strings.Lines(test.env) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				env[name] = value
			}
			got, err := FromEnv(func(name string) string { return env[name] })
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("got %v, want %s", err, test.wantErr)
				}
				return
			}
			want := defaults
			test.want(&want)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}
