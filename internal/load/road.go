package load

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// Dial connects to an address.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// errCut is the end of requests that nobody waits for any more.
var errCut = errors.New("the load was cut short")

// road is the one way that requests take: whatever host a URL names, and
// whatever the environment says of proxies, a connection leads to the gateway.
// It knows its connections, so that it can end them.
type road struct {
	gateway string // host:port
	dial    Dial

	mu    sync.Mutex
	conns map[*pinned]struct{}
	cut   bool
}

// pinned is a connection to the gateway.
type pinned struct {
	net.Conn
	road *road
}

func newRoad(gateway string, dial Dial) *road {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return &road{gateway: gateway, dial: dial, conns: make(map[*pinned]struct{})}
}

// connect is a transport's DialContext.
func (r *road) connect(ctx context.Context, network, _ string) (net.Conn, error) {
	if r.isCut() {
		return nil, errCut
	}
	conn, err := r.dial(ctx, network, r.gateway)
	if err != nil {
		return nil, err
	}
	p := &pinned{Conn: conn, road: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		_ = conn.Close() // it carried nothing
		return nil, errCut
	}
	r.conns[p] = struct{}{}
	return p, nil
}

// Close implements net.Conn.
func (p *pinned) Close() error {
	p.road.mu.Lock()
	delete(p.road.conns, p)
	p.road.mu.Unlock()
	return p.Conn.Close()
}

func (r *road) isCut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// close ends every connection, and with it every request.
func (r *road) close() {
	r.mu.Lock()
	r.cut = true
	open := make([]*pinned, 0, len(r.conns))
	for p := range r.conns {
		open = append(open, p)
	}
	r.mu.Unlock()
	for _, p := range open {
		_ = p.Close() // its request says that it ended
	}
}

// client sends requests over the road as p asks. It follows no redirect: that
// would be another request, and perhaps to somebody else.
func (r *road) client(p Plan) *http.Client {
	transport := &http.Transport{
		Proxy:               nil, // the gateway is on this machine
		DialContext:         r.connect,
		MaxIdleConnsPerHost: int(p.MaxWorkers),
		MaxConnsPerHost:     p.MaxConnections,
		DisableKeepAlives:   p.NoKeepAlive,
	}
	if p.HTTP2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Client{
		Timeout:       p.Timeout,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
