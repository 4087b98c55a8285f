package proxy

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

var errClosedByPeer = errors.New("the connection was closed while nobody used it")

// conn is a connection to the next hop in HTTP/1.1. It counts what is sent,
// and begins no request when the other side has closed it: what is written
// then is lost, and net/http may not have noticed yet.
type conn struct {
	net.Conn
	raw     syscall.RawConn // nil where there is none to look at
	sent    atomic.Int64
	heard   atomic.Bool // something has come since the last write
	refuses atomic.Bool
}

// dialer dials conns.
type dialer struct{ net.Dialer }

// DialContext is for http.Transport.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	made, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: made}
	if s, ok := made.(syscall.Conn); ok {
		if c.raw, err = s.SyscallConn(); err != nil {
			c.raw = nil
		}
	}
	return c, nil
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	return n, err
}

// Write implements net.Conn. The first one after an answer may be the
// beginning of the next request, and costs one more system call.
func (c *conn) Write(p []byte) (int, error) {
	if c.refuses.Load() || c.heard.Swap(false) && c.raw != nil && closedByPeer(c.raw) {
		return 0, errClosedByPeer
	}
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// refuse makes every further Write fail.
func (c *conn) refuse() { c.refuses.Store(true) }
