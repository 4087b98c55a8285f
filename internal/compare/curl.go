package compare

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

// Request is one request over a connection of its own, with curl's times, all
// counted from its begin.
type Request struct {
	Lookup        time.Duration `json:"lookup"`        // the gateway's name was known
	Connect       time.Duration `json:"connect"`       // it was connected to
	StartTransfer time.Duration `json:"starttransfer"` // the answer's first byte
	Total         time.Duration `json:"total"`         // and its last
	Status        int           `json:"status"`
}

// name is how the gateway is called where a name is looked up, as a person's
// curl does. It is this machine.
const name = "localhost"

// curl sends one GET for a host to the gateway, as a curl that is started for
// it would.
func curl(ctx context.Context, gateway, host string) (Request, error) {
	at, err := url.Parse(gateway)
	if err != nil {
		return Request{}, fmt.Errorf("making a request: %w", err)
	}
	at.Host, at.Path = net.JoinHostPort(name, at.Port()), "/"
	var seen clock
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, seen.trace()), http.MethodGet, at.String(), nil)
	if err != nil {
		return Request{}, fmt.Errorf("making a request: %w", err)
	}
	req.Host = host
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: dial}
	defer transport.CloseIdleConnections()
	seen.began = time.Now()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return Request{}, fmt.Errorf("asking %s: %w", host, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return Request{}, fmt.Errorf("reading the answer of %s: %w", host, err)
	}
	return seen.request(resp.StatusCode), nil
}

// dial connects by IPv4 alone, since that is where a box's gateway listens.
func dial(ctx context.Context, _, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp4", address)
}

// clock notes when something happened, since the begin. It is told of it by
// the transport's own goroutines.
type clock struct {
	began time.Time

	mu                     sync.Mutex
	lookup, connect, first time.Duration
}

func (c *clock) note(at *time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*at = time.Since(c.began)
}

func (c *clock) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSDone:              func(httptrace.DNSDoneInfo) { c.note(&c.lookup) },
		ConnectDone:          func(string, string, error) { c.note(&c.connect) },
		GotFirstResponseByte: func() { c.note(&c.first) },
	}
}

// request is what was noted, of a request that has ended.
func (c *clock) request(status int) Request {
	total := time.Since(c.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	return Request{Lookup: c.lookup, Connect: c.connect, StartTransfer: c.first, Total: total, Status: status}
}
