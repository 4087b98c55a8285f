package patient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// server answers with the body that it is sent. What takes its connections
// before it does is each test's.
func server(t *testing.T) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(w, r.Body)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, &asked
}

// door is where clients of a server connect, each in another way.
func door(t *testing.T, s *httptest.Server, enter func(n int, conn net.Conn) bool) *rest.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for n := 0; ; n++ {
			near, err := l.Accept()
			if err != nil {
				return
			}
			if !enter(n, near) {
				continue
			}
			far, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
		}
	}()
	return &rest.Config{Host: "https://" + l.Addr().String(), TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
}

func post(ctx context.Context, t *testing.T, config *rest.Config) (string, error) {
	t.Helper()
	client, err := rest.HTTPClientFor(Config(config))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, config.Host, strings.NewReader("the body"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestAway has a server be away for some tries in each way there is, and then
// answer. It is asked once, with the whole body.
func TestAway(t *testing.T) {
	const tries = 4
	for name, away := range map[string]func(net.Conn){
		"a proxy finds nobody behind it": func(conn net.Conn) { _ = conn.Close() },
		"the connection is reset": func(conn net.Conn) {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, asked := server(t)
			config := door(t, s, func(n int, conn net.Conn) bool {
				if n < tries {
					away(conn)
				}
				return n >= tries
			})
			if body, err := post(t.Context(), t, config); err != nil || body != "the body" || asked.Load() != 1 {
				t.Errorf("got %q, %v; the server was asked %d times", body, err, asked.Load())
			}
		})
	}
	for name, fault := range map[string]error{
		"nobody listens": &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"nobody answers": &net.OpError{Op: "dial", Err: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, asked := server(t)
			var dialled atomic.Int64
			config := &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
			config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if dialled.Add(1) <= tries {
					return nil, fault
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			}
			if body, err := post(t.Context(), t, config); err != nil || body != "the body" || asked.Load() != 1 {
				t.Errorf("got %q, %v; the server was asked %d times", body, err, asked.Load())
			}
		})
	}
}

// TestStarting has a server tell its first clients to come back in an hour.
func TestStarting(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 3 {
			w.Header().Set("Retry-After", "3600")
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	config := &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	if body, err := post(t.Context(), t, config); err != nil || body != "the body" || asked.Load() != 4 {
		t.Errorf("got %q, %v; the server was asked %d times", body, err, asked.Load())
	}
}

// TestOnce: what the server may have seen is not sent again.
func TestOnce(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	config := &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	if _, err := post(t.Context(), t, config); err == nil || asked.Load() != 1 {
		t.Errorf("got error %v after %d times; want one, after one", err, asked.Load())
	}
}

// TestNoHelp: a server that is there, and not the right one, is an error.
func TestNoHelp(t *testing.T) {
	s, _ := server(t)
	_, err := post(t.Context(), t, &rest.Config{Host: s.URL})
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("with a certificate of somebody else: %v", err)
	}
}

// TestGivingUp: a context that ends is the end of the waiting.
func TestGivingUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "https://" + l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*every)
	defer cancel()
	_, err = post(ctx, t, &rest.Config{Host: nobody})
	if _, ok := errors.AsType[*url.Error](err); !ok || ctx.Err() == nil {
		t.Errorf("got %v before the end", err)
	}
}

// TestConfig leaves the config it is given as it was.
func TestConfig(t *testing.T) {
	config := &rest.Config{Host: "https://127.0.0.1:1", Timeout: time.Second}
	if with := Config(config); config.Dial != nil || config.WrapTransport != nil || with.Dial == nil || with.Host != config.Host {
		t.Errorf("%+v has become %+v", config, with)
	}
}
