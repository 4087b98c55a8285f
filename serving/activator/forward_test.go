package activator

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

func TestRequestGoesThrough(t *testing.T) {
	for name, h2c := range map[string]bool{"HTTP/1.1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := r.Header
				for _, name := range []string{"X-Forwarded-For", "Accept-Encoding", "User-Agent"} {
					if name != "X-Forwarded-For" {
						h.Del(name)
					}
				}
				fmt.Fprintln(w, r.Method, r.Host, r.RequestURI)
				for _, name := range slices.Sorted(maps.Keys(h)) {
					fmt.Fprintf(w, "%s: %s\n", name, strings.Join(h[name], ", "))
				}
			}))
			b.route(to("hello-00001", 100))
			req := b.request(t.Context(), http.MethodGet, "/a%2Fb//c?x=1;y=2&z", nil)
			// What nobody outside may say is not heard, neither directly nor by
			// making it a header of one hop.
			for _, name := range []string{"Knative-Serving-Revision", "Knative-Serving-Namespace", "K-Proxy-Request", "K-Original-Host", "K-Network-Hash", "Devbox-Refused"} {
				req.Header.Set(name, "spoofed")
			}
			req.Header.Set("X-Custom", "kept")
			req.Header.Set("X-Forwarded-For", "203.0.113.7, 2001:db8::1")
			req.Header.Set("X-Forwarded-Proto", "https")
			resp, err := newClient(t, h2c).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			const want = `200 GET hello.default.example.com /a%2Fb//c?x=1;y=2&z
Forwarded: for=203.0.113.7;proto=https, for="[2001:db8::1]"
X-Custom: kept
X-Forwarded-For: 203.0.113.7, 2001:db8::1
X-Forwarded-Proto: https`
			if got := read(resp); got != want {
				t.Errorf("the container saw\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestProbeIsAnsweredByTheActivator(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 10), to("hello-00002", 90))
	for name, test := range map[string]struct{ host, value, want, revision string }{
		"a host":        {host, "activator", "200 activator", "hello-00002"},
		"another port":  {host + ":8080", "activator", "200 activator", "hello-00002"},
		"unknown":       {"nobody.example.com", "activator", "404 no route has this host", ""},
		"not ours":      {host, "queue", "400 this is the activator, not queue", ""},
		"nobody's":      {host, "probe", "400 this is the activator, not probe", ""},
		"localhost":     {"hello.default.localhost", "activator", "200 activator", "hello-00002"},
		"in upper case": {strings.ToUpper(host), "activator", "200 activator", "hello-00002"},
	} {
		t.Run(name, func(t *testing.T) {
			req := b.request(t.Context(), http.MethodGet, "/", nil)
			req.Host = test.host
			req.Header.Set(proxy.NetworkProbe, test.value)
			resp, err := newClient(t, false).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get(proxy.Revision); got != test.revision {
				t.Errorf("revision %q, want %q", got, test.revision)
			}
			if got := read(resp); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnknownHost(t *testing.T) {
	b := newBox(t)
	if got := b.get(newClient(t, false), "/"); got != `404 no route has the host "hello.default.example.com"` {
		t.Errorf("got %q", got)
	}
}

func TestTrailersAndInformation(t *testing.T) {
	b := newBox(t)
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%s trailer=%s", body, r.Trailer.Get("X-Request-Sum"))
		w.Header().Set("X-Sum", "42")
	}))
	b.route(to("hello-00001", 100))
	for _, h2c := range []bool{false, true} {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hints++
			}
			return nil
		}})
		req := b.request(ctx, http.MethodPost, "/", io.MultiReader(strings.NewReader("body")))
		req.Trailer = http.Header{"X-Request-Sum": {"7"}}
		resp, err := newClient(t, h2c).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(resp); got != "200 body trailer=7" || resp.Trailer.Get("X-Sum") != "42" || hints != 1 {
			t.Errorf("h2c=%t: got %q, trailer %v, %d early hints", h2c, got, resp.Trailer, hints)
		}
	}
}

func TestStreamsAreNotBuffered(t *testing.T) {
	b := newBox(t)
	next := make(chan string)
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		for event := range next {
			fmt.Fprintf(w, "data: %s\n", event)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	b.route(to("hello-00001", 100))
	resp, err := newClient(t, false).Do(b.request(t.Context(), http.MethodGet, "/", nil)) // returns before any event
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, event := range []string{"one", "two", "three"} {
		next <- event
		if line, err := lines.ReadString('\n'); line != "data: "+event+"\n" {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	close(next)
}

// TestBothWaysAtOnce sends a large body that comes back while it is sent.
func TestBothWaysAtOnce(t *testing.T) {
	for name, h2c := range map[string]bool{"HTTP/1.1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				_, _ = io.Copy(w, r.Body)
			}), func(c *podConfig) { c.queue.UserH2C = h2c })
			b.route(to("hello-00001", 100))
			sent := make([]byte, 8<<20)
			_, _ = rand.Read(sent)
			req := b.request(t.Context(), http.MethodPost, "/", bytes.NewReader(sent))
			req.ContentLength = -1
			resp, err := newClient(t, h2c).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d of %d bytes came back: %v", len(got), len(sent), err)
			}
		})
	}
}

// TestEarlyAnswer is a container that refuses a large body without reading it.
func TestEarlyAnswer(t *testing.T) {
	b := newBox(t)
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}))
	b.route(to("hello-00001", 100))
	req := b.request(t.Context(), http.MethodPost, "/", io.LimitReader(rand.Reader, 64<<20))
	req.Header.Set("Expect", "100-continue")
	c := newClient(t, false)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(resp); got != "413 too large" {
		t.Errorf("got %q", got)
	}
	if got := b.get(c, "/"); got != "413 too large" { // the road is still whole
		t.Errorf("then got %q", got)
	}
}

// upgraded is a container that takes any upgrade to echo, greets, and says
// back what it hears.
func upgraded(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			http.Error(w, "no", http.StatusBadRequest)
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
		_, _ = io.Copy(conn, rw)
	})
}

// upgrade asks for an upgrade and returns the connection.
func (b *box) upgrade() (net.Conn, *bufio.Reader) {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", host)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.t.Fatalf("got %v, %v", resp, err)
	}
	return conn, in
}

// A server that has spoken goes on for longer than its timeouts.
func TestUpgrade(t *testing.T) {
	b := newBox(t)
	const timeout = 300 * time.Millisecond
	b.pod("p", "hello-00001", upgraded(t), func(c *podConfig) { c.queue.Timeout, c.queue.ResponseStart = timeout, timeout })
	b.route(to("hello-00001", 100))
	b.answers("hello-00001", 1)
	conn, in := b.upgrade()
	defer conn.Close()
	if got, err := in.ReadString('\n'); got != "welcome\n" {
		t.Fatalf("got %q, %v", got, err)
	}
	<-time.After(timeout + 50*time.Millisecond)
	fmt.Fprint(conn, "hello\n")
	if got, err := in.ReadString('\n'); got != "hello\n" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// An offer to go on in HTTP/2 is passed over: the container is spoken to in
// what its port's name says.
func TestUpgradeToHTTP2(t *testing.T) {
	const body = "3\r\nabc\r\n0\r\n\r\n"
	for name, c := range map[string]struct {
		h2c           bool
		request, want string
	}{
		"to an h2c service": {true, "GET / HTTP/1.1\r\nHost: " + host +
			"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "HTTP/2.0 [] []"},
		"with a body": {true, "POST / HTTP/1.1\r\nHost: " + host +
			"\r\nTransfer-Encoding: chunked\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + body, "HTTP/2.0 [] [abc]"},
		"to another one": {false, "GET / HTTP/1.1\r\nHost: " + host +
			"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "HTTP/1.1 [] []"},
		"WebSocket to an h2c service": {true, "GET / HTTP/1.1\r\nHost: " + host +
			"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/2.0 [] []"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.revision("hello-00001", func(r *servingv1.Revision) {
				if c.h2c {
					r.Spec.Containers = []servingv1.Container{{Ports: []servingv1.ContainerPort{{Name: "h2c"}}}}
				}
			})
			b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s [%s] [%s]", r.Proto, r.Header.Get("Http2-Settings")+r.Header.Get("Upgrade"), got)
			}), func(p *podConfig) { p.queue.UserH2C = c.h2c })
			b.route(to("hello-00001", 100))
			b.answers("hello-00001", 1)
			conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, c.request)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(resp); got != "200 "+c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCancellationReachesTheContainer(t *testing.T) {
	for name, h2c := range map[string]bool{"HTTP/1.1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			began, ended := make(chan struct{}), make(chan struct{})
			b.pod("p", "hello-00001", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(began)
				<-r.Context().Done()
				close(ended)
			}))
			b.route(to("hello-00001", 100))
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-began
				cancel()
			}()
			if _, err := newClient(t, h2c).Do(b.request(ctx, http.MethodGet, "/", nil)); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			<-ended
		})
	}
}
