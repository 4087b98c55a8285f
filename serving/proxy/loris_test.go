package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// wires is a network of net.Pipes, which synctest's clock reaches.
type wires struct {
	conns chan net.Conn
	done  chan struct{}
}

func newWires() wires { return wires{make(chan net.Conn), make(chan struct{})} }

func (w wires) Accept() (net.Conn, error) {
	select {
	case conn := <-w.conns:
		return conn, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w wires) Close() error {
	select {
	case <-w.done:
	default:
		close(w.done)
	}
	return nil
}

func (wires) Addr() net.Addr { return &net.TCPAddr{} }

func (w wires) dial() net.Conn {
	near, far := net.Pipe()
	w.conns <- far
	return near
}

// TestSlowClient sends a request's head a byte at a time: it is cut off, and
// others do not notice. A body may be as slow as its revision's timeout, and a
// connection that has carried a request may rest as long as it likes.
func TestSlowClient(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		every time.Duration
		want  string // "" is an end without an answer
		after time.Duration
	}{
		"a slow head":           {"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: abcdefgh\r\n\r\n", time.Second, "400 400 Bad Request", headerTimeout},
		"nothing at all":        {"\n", time.Hour, "", headerTimeout},
		"a slow head of HTTP/2": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 5 * time.Second, "400 400 Bad Request", headerTimeout},
		"a head in time":        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", time.Second, "200 ", 27 * time.Second},
		"a slow body":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", 500 * time.Millisecond, "200 0123456789", 29 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newWires()
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				server := Server{Listener: net, Limit: time.Second, Log: slog.New(slog.DiscardHandler),
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })}
				go func() { ended <- server.Serve(ctx) }()

				slow, other := net.dial(), net.dial()
				began := time.Now()
				result := make(chan string)
				go func() { result <- answer(slow) }()
				go func() {
					for i := range test.text {
						time.Sleep(test.every)
						if _, err := fmt.Fprint(slow, test.text[i:i+1]); err != nil {
							return
						}
					}
				}()
				for range 2 { // with 25 minutes in between
					fmt.Fprint(other, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
					asked := time.Now()
					if got := answer(other); got != "200 " || time.Since(asked) > 0 {
						t.Errorf("another client got %q after %s", got, time.Since(asked))
					}
					if began.Equal(asked) {
						got := <-result
						if took := time.Since(began); got != test.want || took != test.after {
							t.Errorf("got %q after %s, want %q after %s", got, took, test.want, test.after)
						}
						time.Sleep(25 * time.Minute)
					}
				}
				_, _ = slow.Close(), other.Close()
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Hour) // for the slow one's end
			})
		})
	}
}

// answer is the status and body of the next response, "" where there is none.
func answer(conn net.Conn) string {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return ""
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}
