package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve starts a Server and returns its URL, what ends it, and what it
// returned.
func serve(t *testing.T, s Server) (url string, stop func(), returned <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener, s.Log = listener, slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx) }()
	t.Cleanup(cancel)
	return "http://" + listener.Addr().String(), cancel, result
}

func get(t *testing.T, transport http.RoundTripper, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func TestServerSpeaksBoth(t *testing.T) {
	url, stop, returned := serve(t, Server{Limit: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })})
	for h2c, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		if got := get(t, NewTransport(TransportConfig{H2C: h2c, Idle: time.Second}), url); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	stop()
	if err := <-returned; err != nil {
		t.Error(err)
	}
}

func TestServerDrains(t *testing.T) {
	for name, h2c := range map[string]bool{"HTTP/1.1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			var drain Drain
			began, end := make(chan struct{}), make(chan struct{})
			handler := drain.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(began)
					<-end
				}
				fmt.Fprint(w, "served")
			}))
			url, stop, returned := serve(t, Server{Handler: handler, Drain: &drain, Quiet: 50 * time.Millisecond, Limit: time.Minute})
			transport := NewTransport(TransportConfig{H2C: h2c, Idle: time.Minute})
			defer transport.CloseIdleConnections()
			// A connection that never carries a request does not hold up the end.
			silent, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()

			slow := make(chan string)
			go func() { slow <- get(t, transport, url+"/slow") }()
			<-began
			stop()
			for !drain.Draining() {
				<-time.After(time.Millisecond)
			}
			if got := get(t, transport, url); got != "served" {
				t.Errorf("while draining: %s", got)
			}
			close(end)
			if got := <-slow; got != "served" {
				t.Errorf("in flight: %s", got)
			}
			if err := <-returned; err != nil {
				t.Error(err)
			}
			if got := get(t, transport, url); !strings.Contains(got, "refused") {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}

func TestServerCutsWhatOutlastsTheLimit(t *testing.T) {
	var drain Drain
	began := make(chan struct{})
	handler := drain.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	}))
	url, stop, returned := serve(t, Server{Handler: handler, Drain: &drain, Limit: 50 * time.Millisecond})
	slow := make(chan string)
	go func() { slow <- get(t, NewTransport(TransportConfig{}), url) }()
	<-began
	stop()
	if got := <-slow; !strings.Contains(got, "EOF") {
		t.Errorf("got %q", got)
	}
	if err := <-returned; err != nil {
		t.Error(err)
	}
}
