package queue

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// knatives is the template of Knative's documentation, with what it lacks of
// the fields there are.
const knatives = `{"httpRequest": {"requestMethod": "{{.Request.Method}}", "requestUrl": "{{js .Request.RequestURI}}", ` +
	`"requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, "responseSize": "{{.Response.Size}}", ` +
	`"userAgent": "{{js .Request.UserAgent}}", "remoteIp": "{{js .Request.RemoteAddr}}", "serverIp": "{{.Revision.PodIP}}", ` +
	`"referer": "{{js .Request.Referer}}", "latency": "{{.Response.Latency}}s", "protocol": "{{.Request.Proto}}"}, ` +
	`"revision": "{{.Revision.Namespace}}/{{.Revision.Service}}/{{.Revision.Configuration}}/{{.Revision.Name}}/{{.Revision.PodName}}", "traceId": "{{.TraceID}}"}`

const knativesLine = `{"httpRequest": {"requestMethod": "GET", "requestUrl": "/a?b\u003D\"c", ` +
	`"requestSize": "0", "status": 418, "responseSize": "6", ` +
	`"userAgent": "test", "remoteIp": "192.0.2.1:1234", "serverIp": "10.0.0.1", ` +
	`"referer": "", "latency": "0.25s", "protocol": "HTTP/1.1"}, ` +
	`"revision": "ns/svc/cfg/rev/pod", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736"}`

func TestRequestLog(t *testing.T) {
	for name, test := range map[string]struct {
		template string
		probes   bool
		want     []string // lines
	}{
		"Knative's":               {template: knatives, want: []string{knativesLine}},
		"with probes":             {template: "{{.Request.Host}} {{.Response.Code}}", probes: true, want: []string{"hello.example.com 418", "hello.example.com 418"}},
		"headers":                 {template: `{{index .Request.Header "User-Agent"}} {{js (.Request.Header.Get "X-Custom")}}`, want: []string{`[test] \u003C\"\u000A\\`}},
		"on two lines":            {template: "{{.Request.URL}}\nend", want: []string{`/a?b="c`, "end"}},
		"none":                    {},
		"not closed":              {template: "{{.Request"},
		"no function of ours":     {template: "{{len .Request.Method}}"},
		"a field there is not":    {template: "{{.Nothing}}"},
		"a header without a name": {template: "{{.Request.Header.Get User-Agent}}"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				h := newRequestLog(Config{
					RequestLogTemplate: test.template, LogProbes: test.probes, RequestLog: &out, PodIP: "10.0.0.1",
					Labels: Labels{Namespace: "ns", Service: "svc", Configuration: "cfg", Revision: "rev", Pod: "pod"},
				}, slog.New(slog.DiscardHandler)).handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(250 * time.Millisecond)
					w.WriteHeader(http.StatusEarlyHints)
					w.WriteHeader(http.StatusTeapot)
					fmt.Fprint(w, "teapot")
				}))
				for _, probe := range [][]string{nil, {proxy.Queue}} {
					r := httptest.NewRequest(http.MethodGet, `/a?b="c`, nil)
					r.Host = "hello.example.com"
					r.Header = http.Header{
						"User-Agent": {"test"}, "X-Custom": {"<\"\n\\"},
						"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
					}
					if probe != nil {
						r.Header[proxy.NetworkProbe] = probe
					}
					h.ServeHTTP(discard{}, r)
				}
				want := ""
				if len(test.want) > 0 {
					want = strings.Join(test.want, "\n") + "\n"
				}
				if got := out.String(); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

// TestRequestLogOnTheRoad writes of what the container never saw.
func TestRequestLogOnTheRoad(t *testing.T) {
	var out bytes.Buffer
	s, _ := start(t, Config{UserAddress: nobody(t), RequestLogTemplate: "{{.Request.RequestURI}} {{.Response.Code}}", RequestLog: &out})
	s.handler().ServeHTTP(discard{}, httptest.NewRequest(http.MethodGet, "/down", nil))
	if got := out.String(); got != "/down 503\n" {
		t.Errorf("got %q", got)
	}
}
