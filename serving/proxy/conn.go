package proxy

import (
	"context"
	"crypto/tls"
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
	sealed  bool        // within TLS, of which not all is an answer
	heard   atomic.Bool // something has come since the last write
	refuses atomic.Bool
}

// dialer dials the next hop.
type dialer struct {
	net.Dialer
	session func(context.Context) (*tls.Config, error) // nil where everything is in the clear
}

// dial makes a connection, within TLS where that is asked for.
func (d *dialer) dial(ctx context.Context, network, address string) (tcp, made net.Conn, err error) {
	var config *tls.Config
	if d.session != nil {
		if config, err = d.session(ctx); err != nil {
			return nil, nil, err
		}
	}
	if tcp, err = d.DialContext(ctx, network, address); err != nil || config == nil {
		return tcp, tcp, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	made, err = seal(ctx, tcp, config)
	return tcp, made, err
}

// dialOne is for an http.Transport whose connections carry one request at a
// time.
func (d *dialer) dialOne(ctx context.Context, network, address string) (net.Conn, error) {
	tcp, made, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: made, sealed: made != tcp}
	if s, ok := tcp.(syscall.Conn); ok {
		if c.raw, err = s.SyscallConn(); err != nil {
			c.raw = nil
		}
	}
	return c, nil
}

// dialMany is for one whose connections carry many.
func (d *dialer) dialMany(ctx context.Context, network, address string) (net.Conn, error) {
	_, made, err := d.dial(ctx, network, address)
	return made, err
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
	if c.refuses.Load() || c.heard.Swap(false) && c.raw != nil && closedByPeer(c.raw, c.sealed) {
		return 0, errClosedByPeer
	}
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// refuse makes every further Write fail.
func (c *conn) refuse() { c.refuses.Store(true) }
