package queue

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// hijacked is the ResponseWriter of a connection that can be upgraded.
type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

// TestUpgradedConnectionsHaveTimeouts: until the server has said something the
// timeouts of a response's begin count, and after that only idleness does.
func TestUpgradedConnectionsHaveTimeouts(t *testing.T) {
	const none = 0
	for name, c := range map[string]struct {
		config         Config
		server, client []time.Duration // when they say something
		want           time.Duration   // when the connection is cut; none: never
	}{
		"the server waits too long":                 {Config{Timeout: 10 * time.Second}, nil, nil, 10 * time.Second},
		"and so for its response to begin":          {Config{Timeout: 300 * time.Second, ResponseStart: 4 * time.Second}, nil, nil, 4 * time.Second},
		"whatever the client says meanwhile":        {Config{Timeout: 10 * time.Second}, nil, []time.Duration{2 * time.Second, 9 * time.Second}, 10 * time.Second},
		"it speaks in time and goes on":             {Config{Timeout: 10 * time.Second, ResponseStart: 4 * time.Second}, []time.Duration{3 * time.Second}, nil, none},
		"idle before the first word":                {Config{Timeout: 300 * time.Second, Idle: 5 * time.Second}, nil, nil, 5 * time.Second},
		"idle after it":                             {Config{Timeout: 300 * time.Second, Idle: 5 * time.Second}, []time.Duration{4 * time.Second}, nil, 9 * time.Second},
		"never idle":                                {Config{Timeout: 6 * time.Second, Idle: 5 * time.Second}, []time.Duration{4 * time.Second, 8 * time.Second, 12 * time.Second}, nil, 17 * time.Second},
		"not idle, since the client says something": {Config{Timeout: 300 * time.Second, Idle: 5 * time.Second}, []time.Duration{4 * time.Second}, []time.Duration{8 * time.Second}, 13 * time.Second},
		"no bound": {Config{}, nil, nil, none},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer ours.Close()
				defer theirs.Close()
				began := time.Now()
				w, r := newResponse(hijacked{httptest.NewRecorder(), ours}, httptest.NewRequest(http.MethodGet, "/", nil), &c.config)
				defer w.done()
				w.WriteHeader(http.StatusSwitchingProtocols) // as ReverseProxy does not, and others may
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Fatal(err)
				}
				say := func(at []time.Duration, to net.Conn) {
					for _, when := range at {
						time.Sleep(time.Until(began.Add(when)))
						_, _ = to.Write([]byte("word"))
					}
				}
				hear := func(from net.Conn) {
					for _, err := from.Read(make([]byte, 8)); err == nil; _, err = from.Read(make([]byte, 8)) {
					}
				}
				go say(c.server, conn)
				go say(c.client, theirs)
				go hear(conn)
				go hear(theirs)
				ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
				defer cancel()
				<-ctx.Done()
				got := time.Since(began)
				if context.Cause(r.Context()) == nil {
					got = none
				}
				if got != c.want {
					t.Errorf("cut after %s, want %s", got, c.want)
				}
			})
		})
	}
}
