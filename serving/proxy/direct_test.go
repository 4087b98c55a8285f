package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// scripted is a server that answers every request with the same bytes.
type scripted struct {
	address string
	conns   atomic.Int64
	closed  chan struct{} // told when a client has closed a connection
}

// newScripted says these bytes to every request, and closes the connection
// after them if it is to.
func newScripted(t testing.TB, closes bool, says string) *scripted {
	s := &scripted{closed: make(chan struct{}, 100)}
	s.address = serveConns(t, func(conn net.Conn) {
		s.conns.Add(1)
		for in := bufio.NewReader(conn); ; {
			if _, err := http.ReadRequest(in); err != nil {
				s.closed <- struct{}{}
				return
			}
			if _, err := io.WriteString(conn, says); err != nil || closes {
				return
			}
		}
	})
	return s
}

// serveConns has serve deal with each connection to the address it returns.
func serveConns(t testing.TB, serve func(net.Conn)) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		talks.Wait()
	})
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	return listener.Addr().String()
}

// newTransport is one whose connections end with the test.
func newTransport(t testing.TB) *http.Transport {
	transport := NewTransport(TransportConfig{Dial: time.Second, Idle: time.Minute})
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// newDirectly is a direct whose connections end with the test.
func newDirectly(t testing.TB, idle time.Duration) *direct {
	transport := newTransport(t)
	transport.IdleConnTimeout = idle
	d := newDirect(transport)
	t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, free := range d.free {
			for _, l := range free {
				l.close()
			}
		}
	})
	return d
}

// told is all that an answer says; an error is told without its words, which
// may differ.
func told(ctx context.Context, via func(*http.Request) (*http.Response, error), method, url string) string {
	var b strings.Builder
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		fmt.Fprintf(&b, "%d %v; ", code, h)
		return nil
	}})
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := via(req)
	if err != nil {
		return b.String() + "failed"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Fprintf(&b, "%s %s %d %v %v %v %q %v", resp.Proto, resp.Status, resp.ContentLength, resp.TransferEncoding, resp.Header, resp.Trailer, body, err)
	return b.String()
}

// answers are what servers may say to a request: right, at the edge, and wrong.
var answers = map[string]string{
	"a length":              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"an empty body":         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"chunks":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"trailers":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n5\r\nhello\r\n0\r\nGrpc-Status: 0\r\n\r\n",
	"no length":             "HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"its last":              "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.0":              "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.0 that stays":   "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
	"204":                   "HTTP/1.1 204 No Content\r\n\r\n",
	"304 with a length":     "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
	"early hints":           "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <y>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"an unasked continue":   "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"an unasked upgrade":    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	"an error":              "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno",
	"a status of no class":  "HTTP/1.1 000 0\r\nContent-Length: 2\r\n\r\nok",
	"two of a header":       "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
	"nothing":               "",
	"half a head":           "HTTP/1.1 200 OK\r\nContent-Le",
	"no HTTP":               "I am no web server\r\n\r\n",
	"a head without end":    "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxResponseHeader),
	"two lengths":           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
	"half a body":           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
	"a chunk that breaks":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
	"a chunk of no size":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
	"an unknown encoding":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nhello",
	"a body as large as it": "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + strings.Repeat("x", 1<<20),
}

// TestDirectIsNetHTTP asks each of answers' servers directly and by net/http:
// once where the server closes the connection, or else twice. What becomes of a
// request over a connection that is closed is TestOnceFindsAClosedConnection's.
func TestDirectIsNetHTTP(t *testing.T) {
	for name, says := range answers {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions} {
			for _, closes := range []bool{true, false} {
				if !closes && (method == http.MethodHead || !whole(says)) {
					continue // it would be waited for, or be no answer to the next request
				}
				t.Run(fmt.Sprintf("%s/%s/closes=%t", name, method, closes), func(t *testing.T) {
					theirs, ours := newScripted(t, closes, says), newScripted(t, closes, says)
					transport, direct := newTransport(t), newDirectly(t, time.Minute)
					times := 2
					if closes {
						times = 1
					}
					for i := range times {
						want := told(t.Context(), transport.RoundTrip, method, "http://"+theirs.address+"/")
						if got := told(t.Context(), direct.roundTrip, method, "http://"+ours.address+"/"); got != want {
							t.Errorf("request %d: got %.300s\nwant %.300s", i, got, want)
						}
					}
					if !closes && ours.conns.Load() != theirs.conns.Load() {
						t.Errorf("over %d connections, want %d", ours.conns.Load(), theirs.conns.Load())
					}
				})
			}
		}
	}
}

// whole says that an answer has an end of its own.
func whole(says string) bool {
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(says)), nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && (resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0)
}

// FuzzDirect holds what is made of any answer against what net/http makes of
// it.
func FuzzDirect(f *testing.F) {
	for _, says := range answers {
		if len(says) < 1<<10 {
			f.Add(says)
		}
	}
	f.Fuzz(func(t *testing.T, says string) {
		server := newScripted(t, true, says)
		want := told(t.Context(), newTransport(t).RoundTrip, http.MethodGet, "http://"+server.address+"/")
		if got := told(t.Context(), newDirectly(t, time.Minute).roundTrip, http.MethodGet, "http://"+server.address+"/"); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}

// TestDirectSends holds what is sent against what net/http sends.
func TestDirectSends(t *testing.T) {
	sent := make(chan string, 1)
	address := serveConns(t, func(conn net.Conn) {
		buffer := make([]byte, 4<<10)
		n, _ := conn.Read(buffer)
		sent <- string(buffer[:n])
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodOptions, "PURGE"} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/a%2Fb?x=1;y", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "hello.default.example.com"
		req.Header = http.Header{"Te": {"trailers"}, "User-Agent": {""}, "Cookie": {"a", "b"}}
		var got [2]string
		for i, via := range []func(*http.Request) (*http.Response, error){newTransport(t).RoundTrip, newDirectly(t, time.Minute).roundTrip} {
			resp, err := via(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			got[i] = <-sent
		}
		if got[1] != got[0] {
			t.Errorf("%s: sent %q, want %q", method, got[1], got[0])
		}
	}
}

// TestDirectGivesUp has requests end before their answers do: the connection
// ends with them.
func TestDirectGivesUp(t *testing.T) {
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
	why := errors.New("why")
	for name, test := range map[string]struct {
		says string
		end  func(t *testing.T, resp *http.Response, err error, cancel context.CancelCauseFunc)
	}{
		"before the head": {"HTTP/1.1 100 Continue\r\n\r\n", func(t *testing.T, _ *http.Response, err error, _ context.CancelCauseFunc) {
			if !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
		}},
		"before the body": {half, func(t *testing.T, resp *http.Response, err error, cancel context.CancelCauseFunc) {
			if err != nil {
				t.Fatal(err)
			}
			cancel(why)
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
		}},
		"without reading": {half, func(t *testing.T, resp *http.Response, err error, _ context.CancelCauseFunc) {
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server, right := newScripted(t, false, test.says), newScripted(t, false, answers["a length"])
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			trace := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
				cancel(why) // the request has come
				return nil
			}})
			req, err := http.NewRequestWithContext(trace, http.MethodGet, "http://"+server.address+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			d := newDirectly(t, time.Minute)
			resp, err := d.roundTrip(req)
			test.end(t, resp, err, cancel)
			<-server.closed
			if got := told(t.Context(), d.roundTrip, http.MethodGet, "http://"+right.address+"/"); !strings.Contains(got, `"ok"`) {
				t.Errorf("then: %s", got)
			}
		})
	}
}

// TestDirectKeepsForATime sees an idle connection closed when its time is over.
func TestDirectKeepsForATime(t *testing.T) {
	server, d := newScripted(t, false, answers["a length"]), newDirectly(t, time.Millisecond)
	told(t.Context(), d.roundTrip, http.MethodGet, "http://"+server.address+"/")
	<-server.closed
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.free) != 0 {
		t.Errorf("%d addresses are kept", len(d.free))
	}
}

// TestDirectTakesNoOtherAnswer has a server say more than it was asked for, with
// its answer and after it: that is nobody's answer.
func TestDirectTakesNoOtherAnswer(t *testing.T) {
	const right, wrong = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
	for name, answer := range map[string][2]string{"with it": {right + wrong, ""}, "after it": {right, wrong}} {
		t.Run(name, func(t *testing.T) {
			read, said := make(chan struct{}), make(chan struct{})
			address := serveConns(t, func(conn net.Conn) {
				for in := bufio.NewReader(conn); ; {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					_, _ = io.WriteString(conn, answer[0])
					<-read
					_, _ = io.WriteString(conn, answer[1])
					said <- struct{}{} // and loopback has brought it
				}
			})
			d := newDirectly(t, time.Minute)
			for range 10 {
				if got := told(t.Context(), d.roundTrip, http.MethodGet, "http://"+address+"/"); !strings.Contains(got, `"right"`) {
					t.Errorf("got %s", got)
				}
				read <- struct{}{}
				<-said
			}
		})
	}
}

// TestDirectInParallel has many ask servers that leave now and then: each gets
// its own answer.
func TestDirectInParallel(t *testing.T) {
	d := newDirectly(t, time.Millisecond)
	address := serveConns(t, func(conn net.Conn) {
		for in, n := bufio.NewReader(conn), 0; n < 7; n++ {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(req.URL.Path), req.URL.Path)
		}
	})
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			for i := range 200 {
				path := fmt.Sprintf("/%d/%d", c, i)
				got := told(t.Context(), d.roundTrip, http.MethodGet, "http://"+address+path)
				if got != "failed" && !strings.Contains(got, fmt.Sprintf("%q", path)) { // one that was sent as the server left is not sent again
					t.Errorf("%s: %s", path, got)
				}
			}
		})
	}
	clients.Wait()
}
