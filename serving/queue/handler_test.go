package queue

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/test/documented"
)

// start serves a sidecar in front of a user server.
func start(t *testing.T, c Config) (*sidecar, string) {
	t.Helper()
	s, err := newSidecar(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var probing sync.WaitGroup
	probing.Go(func() { s.ready.run(ctx) })
	server := httptest.NewServer(s.handler())
	t.Cleanup(func() {
		server.Close()
		cancel()
		probing.Wait()
	})
	return s, server.URL
}

// get returns status and body, and what went wrong with the body.
func get(t *testing.T, url string, header ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	text := fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(body)))
	if err != nil {
		text += " " + err.Error()
	}
	return text
}

func TestProbes(t *testing.T) {
	down := nobody(t)
	s, url := start(t, Config{UserAddress: userServer(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "app", r.Header[proxy.NetworkProbe])
	})})
	_, downURL := start(t, Config{UserAddress: down})
	if got := get(t, url, proxy.NetworkProbe, "queue"); got != "200 queue" {
		t.Errorf("up: got %q", got)
	}
	if got := get(t, downURL, proxy.NetworkProbe, "queue"); !strings.HasPrefix(got, "503 the user container is not ready: ") {
		t.Errorf("down: got %q", got)
	}
	if got := get(t, url, proxy.NetworkProbe, "activator"); got != "400 this is queue-proxy, not activator" {
		t.Errorf("another's: got %q", got)
	}
	if got := get(t, url, "User-Agent", "kube-probe/1.37"); got != "200 app[]" {
		t.Errorf("a request that looks like kubelet's: got %q", got)
	}
	s.drain.Begin()
	if got := get(t, url, proxy.NetworkProbe, "queue"); got != "503 the pod is leaving" {
		t.Errorf("draining: got %q", got)
	}
	if got := get(t, url); got != "200 app[]" {
		t.Errorf("a request while draining: got %q", got)
	}
}

func TestTimeouts(t *testing.T) {
	const short, long = 500 * time.Millisecond, time.Minute
	pause := func(r *http.Request) {
		select {
		case <-time.After(2 * short):
		case <-r.Context().Done():
		}
	}
	user := userServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/late":
			pause(r)
			fmt.Fprint(w, "late")
		case "/pause":
			fmt.Fprint(w, "begun ")
			_ = http.NewResponseController(w).Flush()
			pause(r)
			fmt.Fprint(w, "done")
		case "/drip":
			for range 10 {
				fmt.Fprint(w, ".")
				_ = http.NewResponseController(w).Flush()
				<-time.After(short / 8)
			}
		}
	})
	for name, test := range map[string]struct {
		config Config
		path   string
		want   string
	}{
		"timeout before the first byte":         {Config{Timeout: short}, "/late", "504 request timeout"},
		"timeout after it":                      {Config{Timeout: short}, "/pause", "200 begun done"},
		"response start before the first byte":  {Config{Timeout: long, ResponseStart: short}, "/late", "504 request timeout"},
		"response start after it":               {Config{Timeout: long, ResponseStart: short}, "/pause", "200 begun done"},
		"idle before the first byte":            {Config{Timeout: long, Idle: short}, "/late", "504 request timeout"},
		"idle after it":                         {Config{Timeout: long, Idle: short}, "/pause", "200 begun unexpected EOF"},
		"never idle for long":                   {Config{Timeout: long, Idle: short}, "/drip", "200 .........."},
		"never idle, longer than the timeout":   {Config{Timeout: short, Idle: short}, "/drip", "200 .........."},
		"in time":                               {Config{Timeout: long, ResponseStart: long, Idle: long}, "/late", "200 late"},
		"no limit":                              {Config{}, "/late", "200 late"},
		"waiting for one's turn counts as well": {Config{Timeout: short, Concurrency: 1}, "/late", "504 request timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.UserAddress = user
			_, url := start(t, test.config)
			if got := get(t, url+test.path); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestConcurrencyAndQueue(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	s, url := start(t, Config{Concurrency: 1, UserAddress: userServer(t, func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-end
		fmt.Fprint(w, "ok")
	})})
	results := make(chan string, 11)
	for range cap(results) {
		go func() { results <- get(t, url) }()
	}
	<-begun
	for s.waiting() < 10 {
		<-time.After(time.Millisecond)
	}
	if got := get(t, url); got != "503 too many requests are waiting" {
		t.Errorf("the twelfth got %q", got)
	}
	go func() {
		for range 10 {
			<-begun
		}
	}()
	close(end)
	for range cap(results) {
		if got := <-results; got != "200 ok" {
			t.Errorf("got %q", got)
		}
	}
}

func TestHeadersOfTheContainer(t *testing.T) {
	_, url := start(t, Config{UserAddress: userServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(proxy.Refused, "a lie")
		for _, name := range []string{proxy.Revision, proxy.Namespace, proxy.ProxyRequest, proxy.OriginalHost, proxy.NetworkHash, "Forwarded", "X-Kept"} {
			fmt.Fprint(w, r.Header[name])
		}
	})})
	got := get(t, url, proxy.Revision, "r", proxy.Namespace, "n", proxy.ProxyRequest, "activator", proxy.OriginalHost, "h", proxy.NetworkHash, "x",
		"X-Kept", "1", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "http")
	if want := "200 [][][][][][for=1.2.3.4;proto=http][1]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get(proxy.Refused) != "" {
		t.Error("the container speaks for queue-proxy")
	}
}

func TestContainerThatDoesNotListen(t *testing.T) {
	_, url := start(t, Config{UserAddress: nobody(t)})
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get(proxy.Refused) == "" {
		t.Errorf("got %s, %v", resp.Status, resp.Header)
	}
}

func TestMetrics(t *testing.T) {
	s, _ := start(t, Config{Labels: Labels{Namespace: "default", Revision: "r"}, UserAddress: userServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusTeapot)
		}
	})})
	for _, path := range []string{"/", "/", "/bad"} {
		s.handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	s.metrics.autometrics().ServeHTTP(httptest.NewRecorder(), nil) // another reader
	metrics := httptest.NewRecorder()
	s.metrics.usermetrics(s.waiting).ServeHTTP(metrics, nil)
	s.metrics.autometrics().ServeHTTP(metrics, nil)
	text := metrics.Body.String()
	const labels = `namespace_name="default",service_name="",configuration_name="",revision_name="r",pod_name=""`
	if strings.Contains(text, "kn_") {
		t.Errorf("names that nobody asked for in\n%s", text)
	}
	for _, want := range []string{
		`revision_request_count{` + labels + `,response_code="200",response_code_class="2xx"} 2`,
		`revision_request_count{` + labels + `,response_code="418",response_code_class="4xx"} 1`,
		`revision_request_latencies_bucket{` + labels + `,response_code_class="2xx",le="+Inf"} 2`,
		`revision_request_latencies_count{` + labels + `,response_code_class="4xx"} 1`,
		`revision_app_request_count{` + labels + `,response_code="200",response_code_class="2xx"} 2`,
		`revision_app_request_latencies_count{` + labels + `,response_code_class="4xx"} 1`,
		`revision_queue_depth{` + labels + `} 0`,
		`queue_requests_total{` + labels + `} 3`,
		`queue_requests_in_flight{` + labels + `} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s in\n%s", want, text)
		}
	}
}

func TestOTelMetrics(t *testing.T) {
	s, _ := start(t, Config{
		Labels: Labels{Namespace: "default", Service: "s", Configuration: "c", Revision: "r", Pod: "p"}, OTelMetrics: true,
		UserAddress: userServer(t, func(http.ResponseWriter, *http.Request) {}),
	})
	for range 3 {
		s.handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	metrics := httptest.NewRecorder()
	s.metrics.usermetrics(s.waiting).ServeHTTP(metrics, nil)
	s.metrics.autometrics().ServeHTTP(metrics, nil)
	documented.Check(t, "queue-proxy", metrics.Body.String())
	const labels = `k8s_namespace_name="default",kn_service_name="s",kn_configuration_name="c",kn_revision_name="r",k8s_pod_name="p"`
	for _, want := range []string{
		`kn_serving_queue_depth{` + labels + `} 0`,
		`kn_serving_invocation_duration_seconds_bucket{` + labels + `,le="100"} 3`,
		`kn_serving_invocation_duration_seconds_count{` + labels + `} 3`,
		`http_server_request_duration_seconds_count{` + labels + `} 3`,
		`http_client_request_duration_seconds_count{` + labels + `} 3`,
		`revision_request_count{namespace_name="default",service_name="s",configuration_name="c",revision_name="r",pod_name="p",response_code="200",response_code_class="2xx"} 3`,
	} {
		if text := metrics.Body.String(); !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s in\n%s", want, text)
		}
	}
}
