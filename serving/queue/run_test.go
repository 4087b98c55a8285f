package queue

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestRunDrains is the end of a pod: kubelet calls the container's preStop
// hook and sends SIGTERM to the sidecar, while a request is in flight.
func TestRunDrains(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	c := Config{ListenHost: "127.0.0.1", DrainQuiet: 50 * time.Millisecond, UserAddress: userServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-end
		}
		fmt.Fprint(w, "ok")
	})}
	var addresses [4]string
	for i, p := range []*int{&c.ServingPort, &c.AdminPort, &c.AutometricPort, &c.UsermetricPort} {
		addresses[i] = nobody(t)
		*p = int(portOf(t, addresses[i]))
	}
	serving, admin := "http://"+addresses[0], "http://"+addresses[1]
	ctx, term := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() { returned <- Run(ctx, c, slog.New(slog.DiscardHandler)) }()
	for !strings.HasPrefix(get(t, serving, "K-Network-Probe", "queue"), "200") {
		<-time.After(time.Millisecond)
	}
	for _, metrics := range addresses[2:] {
		if got := get(t, "http://"+metrics+"/metrics"); !strings.HasPrefix(got, "200 # HELP") {
			t.Errorf("metrics: got %q", got)
		}
	}

	slow, hook := make(chan string, 1), make(chan string, 1)
	go func() { slow <- get(t, serving+"/slow") }()
	<-begun
	go func() { hook <- get(t, admin+"/wait-for-drain") }()
	term()
	for !strings.HasPrefix(get(t, serving, "K-Network-Probe", "queue"), "503") {
		<-time.After(time.Millisecond)
	}
	if got := get(t, serving); got != "200 ok" {
		t.Errorf("a late request got %q", got)
	}
	select {
	case got := <-hook:
		t.Errorf("the container may go with a request in flight: %s", got)
	case <-time.After(termGrace + 200*time.Millisecond):
	}
	close(end)
	if got := <-slow; got != "200 ok" {
		t.Errorf("the request in flight got %q", got)
	}
	if got := <-hook; got != "200" && got != "200 " {
		t.Errorf("the hook got %q", got)
	}
	if err := <-returned; err != nil {
		t.Error(err)
	}
}

// TestUpgradedConnectionsDoNotHoldTheDrain: the container is told to go with
// one open, and its last word on it gets through.
func TestUpgradedConnectionsDoNotHoldTheDrain(t *testing.T) {
	leave := make(chan struct{}) // the container's SIGTERM
	c := Config{ListenHost: "127.0.0.1", DrainQuiet: 50 * time.Millisecond, Timeout: time.Hour, UserAddress: userServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome\n")
		_ = rw.Flush()
		<-leave
		fmt.Fprint(conn, "goodbye\n")
	})}
	var addresses [4]string
	for i, p := range []*int{&c.ServingPort, &c.AdminPort, &c.AutometricPort, &c.UsermetricPort} {
		addresses[i] = nobody(t)
		*p = int(portOf(t, addresses[i]))
	}
	ctx, term := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() { returned <- Run(ctx, c, slog.New(slog.DiscardHandler)) }()
	for !strings.HasPrefix(get(t, "http://"+addresses[0], "K-Network-Probe", "queue"), "200") {
		<-time.After(time.Millisecond)
	}
	conn, err := net.Dial("tcp", addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	if got, err := in.ReadString('\n'); got != "welcome\n" {
		t.Fatalf("got %q, %v", got, err)
	}
	term()
	if got := get(t, "http://"+addresses[1]+"/wait-for-drain"); !strings.HasPrefix(got, "200") {
		t.Errorf("the hook got %q", got)
	}
	select {
	case err := <-returned:
		t.Fatalf("queue-proxy has gone with a connection open: %v", err)
	default:
	}
	close(leave)
	if got, err := in.ReadString('\n'); got != "goodbye\n" {
		t.Errorf("the last word: %q, %v", got, err)
	}
	if err := <-returned; err != nil {
		t.Error(err)
	}
}

// TestContainerRestartDoesNotDrain calls the hook without a SIGTERM, as
// kubelet does when a liveness probe fails.
func TestContainerRestartDoesNotDrain(t *testing.T) {
	s, url := start(t, Config{UserAddress: userServer(t, func(http.ResponseWriter, *http.Request) {})})
	admin := s.admin(make(chan struct{}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/wait-for-drain", nil)
		if err != nil {
			t.Error(err)
			return
		}
		admin.ServeHTTP(discard{}, req)
	}()
	<-done
	if got := get(t, url, "K-Network-Probe", "queue"); got != "200 queue" {
		t.Errorf("got %q", got)
	}
}

// TestAdminPorts asks them for more than they are there for. Whoever can reach
// them can wait and read, and change nothing.
func TestAdminPorts(t *testing.T) {
	s, url := start(t, Config{UserAddress: userServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })})
	ports := map[string]http.Handler{
		"admin":       s.admin(make(chan struct{})),
		"autometrics": metricsMux(s.metrics.autometrics()),
		"usermetrics": metricsMux(s.metrics.usermetrics(s.waiting)),
	}
	for name, h := range ports {
		for _, path := range []string{"/", "/drain", "/metrics", "/wait-for-drain", "/debug/pprof/", "/healthz", "/metrics/../wait-for-drain"} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodConnect} {
				answer := httptest.NewRecorder()
				h.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
				if c := answer.Code; c != http.StatusNotFound && c != http.StatusMethodNotAllowed && c != http.StatusTemporaryRedirect && c != http.StatusMovedPermanently {
					t.Errorf("%s: %s %s got %d", name, method, path, c)
				}
			}
		}
	}
	if got := get(t, url); got != "200 ok" || s.drain.Draining() {
		t.Errorf("afterwards: got %q", got)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func TestPortTaken(t *testing.T) {
	taken := userServer(t, func(http.ResponseWriter, *http.Request) {})
	c := Config{ListenHost: "127.0.0.1", UserAddress: taken, ServingPort: int(portOf(t, taken))}
	err := Run(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "opening port") {
		t.Errorf("got %v", err)
	}
}
