package mesh

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Policy is what a Gate lets in.
type Policy struct{ Clear, TLS bool }

// Gate takes connections that are within TLS or in the clear, as its policy of
// the moment has it. The zero Gate is not ready for use.
type Gate struct {
	config  *tls.Config
	policy  atomic.Pointer[Policy]
	refused atomic.Int64
}

// NewGate returns a Gate that lets in what is in the clear.
func NewGate(config *tls.Config) *Gate {
	g := &Gate{config: config}
	g.Set(Policy{Clear: true})
	return g
}

// Set makes p the policy. Connections that are there already stay.
func (g *Gate) Set(p Policy) { g.policy.Store(&p) }

// Policy is the policy of the moment.
func (g *Gate) Policy() Policy { return *g.policy.Load() }

// Refused is how many connections were refused because they were in the clear.
func (g *Gate) Refused() int64 { return g.refused.Load() }

// Listener is l, with g before it.
func (g *Gate) Listener(l net.Listener) net.Listener { return listener{l, g} }

type listener struct {
	net.Listener
	gate *Gate
}

// Accept implements net.Listener. It waits for nothing but a connection: what
// is in it is looked at by whoever reads from it first.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.gate.Policy() == (Policy{Clear: true}) {
		return c, err
	}
	return &conn{Conn: c, gate: l.gate}, nil
}

var (
	errInTheClear = errors.New("the connection is in the clear, and the mesh's mode is strict")
	errNotTaken   = errors.New("connections within TLS are not taken")
)

// recordHandshake is the first byte of a TLS session: a record's type. No
// request in the clear begins with it, in HTTP/1.1 or HTTP/2.
const recordHandshake = 0x16

// conn is a connection of which the first byte says what it is.
type conn struct {
	net.Conn // the one that was accepted
	gate     *Gate
	once     sync.Once
	inner    net.Conn // where what was sent is read
	session  atomic.Pointer[tls.Conn]
	err      error
}

// open waits for the first byte, and makes the handshake that it begins.
func (c *conn) open() {
	first := make([]byte, 1)
	if _, c.err = io.ReadFull(c.Conn, first); c.err != nil {
		return
	}
	before := &begun{Conn: c.Conn, first: bytes.NewReader(first)}
	switch policy := c.gate.Policy(); {
	case first[0] != recordHandshake && policy.Clear:
		c.inner = before
	case first[0] != recordHandshake:
		c.gate.refused.Add(1)
		c.err = errInTheClear
	case !policy.TLS:
		c.err = errNotTaken
	default:
		session := tls.Server(before, c.gate.config)
		if c.err = session.Handshake(); c.err == nil {
			c.inner = session
			c.session.Store(session)
		}
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.once.Do(c.open); c.err != nil {
		return 0, c.err
	}
	return c.inner.Read(p)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.once.Do(c.open); c.err != nil {
		return 0, c.err
	}
	return c.inner.Write(p)
}

// CloseWrite says that no more is coming.
func (c *conn) CloseWrite() error {
	if session := c.session.Load(); session != nil {
		return session.CloseWrite()
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if session := c.session.Load(); session != nil {
		return session.Close()
	}
	return c.Conn.Close()
}

// TLS implements proxy.Sealed.
func (c *conn) TLS() *tls.ConnectionState {
	session := c.session.Load()
	if session == nil {
		return nil
	}
	state := session.ConnectionState()
	return &state
}

// begun is a connection whose first byte has been read already.
type begun struct {
	net.Conn
	first *bytes.Reader
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if b.first.Len() > 0 {
		return b.first.Read(p)
	}
	return b.Conn.Read(p)
}
