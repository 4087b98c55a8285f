package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// rude is a server that answers with the body of a request, and may close the
// connection before or after that without having said so.
type rude struct {
	address string
	seen    atomic.Int64
	closed  chan struct{} // told after a connection was closed
}

func newRude(t *testing.T) *rude {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	r := &rude{address: listener.Addr().String(), closed: make(chan struct{}, 100)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *rude) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		r.closed <- struct{}{}
	}()
	for in := bufio.NewReader(conn); ; {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.seen.Add(1)
		if req.URL.Path == "/dies" {
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if req.URL.Path == "/leaves" {
			return
		}
	}
}

// ask sends a request and returns the answer's body or the error.
func (r *rude) ask(t *testing.T, via http.RoundTripper, method, path string, body io.Reader) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func newOnce(t *testing.T) http.RoundTripper {
	transport := NewTransport(TransportConfig{Dial: time.Second, Idle: time.Minute})
	t.Cleanup(transport.CloseIdleConnections)
	return Once(transport)
}

// TestOnceSendsNothingTwice has a request break a connection that was used
// before, which is when net/http would send it again.
func TestOnceSendsNothingTwice(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			r, via := newRude(t), newOnce(t)
			if _, err := r.ask(t, via, http.MethodGet, "/", nil); err != nil {
				t.Fatal(err)
			}
			_, err := r.ask(t, via, method, "/dies", nil)
			var unsent *UnsentError
			if err == nil || errors.As(err, &unsent) {
				t.Errorf("got %v", err)
			}
			if n := r.seen.Load(); n != 2 {
				t.Errorf("the server saw %d requests, want the first and the one that broke", n)
			}
		})
	}
}

// TestOnceFindsAClosedConnection sends requests over connections that the
// server has just closed. They have taken nothing, so each request arrives.
func TestOnceFindsAClosedConnection(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			r, via := newRude(t), newOnce(t)
			const n = 200
			for i := range n {
				sent := strings.Repeat("x", i*100)
				got, err := r.ask(t, via, method, "/leaves", struct{ io.Reader }{strings.NewReader(sent)})
				if err != nil || got != sent {
					t.Fatalf("request %d: %d of %d bytes came back, %v", i, len(got), len(sent), err)
				}
				<-r.closed
			}
			if seen := r.seen.Load(); seen != n {
				t.Errorf("the server saw %d requests of %d", seen, n)
			}
		})
	}
}

func TestOnceNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	body := strings.NewReader("body")
	_, err = (&rude{address: listener.Addr().String()}).ask(t, newOnce(t), http.MethodPost, "/", struct{ io.Reader }{body})
	var unsent *UnsentError
	if !errors.As(err, &unsent) || body.Len() != 4 {
		t.Errorf("got %v with %d bytes left", err, body.Len())
	}
}

func TestOnceCancelled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		cancel()
		<-ctx.Done()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newOnce(t).RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
