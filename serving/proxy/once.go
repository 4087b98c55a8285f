package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
)

// UnsentError is why a request could not be sent, when nothing of it was: the
// next hop cannot have seen it, and it may be sent again or elsewhere.
type UnsentError struct{ Err error }

// Error implements error.
func (e *UnsentError) Error() string { return fmt.Sprintf("the request was not sent: %v", e.Err) }

// Unwrap gives the cause.
func (e *UnsentError) Unwrap() error { return e.Err }

// errBroken says that nobody knows what became of a request.
var errBroken = errors.New("the connection ended before there was an answer")

// Once is a RoundTripper over transport, made by NewTransport, that sends
// nothing twice. Of itself, net/http sends a GET again whose connection broke
// before there was an answer, if an earlier request had used the connection
// too. So a GET that makes its container crash would go on to crash the next
// one, and all others after it.
//
// A connection that is found closed when a request is to go over it has
// taken nothing of it: then another one is tried.
func Once(transport *http.Transport) http.RoundTripper { return once{transport} }

type once struct{ transport *http.Transport }

// RoundTrip implements http.RoundTripper.
func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.GetBody == nil {
		own := *req
		NewBody(&own).GiveTo(&own)
		req = &own
	}
	for {
		a := &attempt{}
		resp, err := a.send(o.transport, req)
		switch {
		case err == nil:
			return resp, nil
		case a.sent():
			return nil, err
		}
		again, ok := rewound(req)
		if !ok || !a.reused || req.Context().Err() != nil {
			return nil, &UnsentError{err}
		}
		req = again
	}
}

// rewound is req with its body from the beginning.
func rewound(req *http.Request) (*http.Request, bool) {
	again := *req
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, false
		}
		again.Body = body
	}
	return &again, true
}

// attempt follows a request to the connections it is given. Over HTTP/1.1 it
// knows whether anything was sent; over HTTP/2 the transport sends again only
// what the server says it has not seen.
type attempt struct {
	trace  httptrace.ClientTrace
	conn   *conn // the last one, where we know what it sends
	before int64 // what conn had sent when it came to us
	got    bool
	reused bool
	replay bool // net/http was about to send it again
}

// send is one RoundTrip.
func (a *attempt) send(transport *http.Transport, req *http.Request) (*http.Response, error) {
	a.trace.GotConn = a.gotConn
	resp, err := transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &a.trace)))
	if err != nil && req.Context().Err() == nil && a.broke(err) {
		err = errBroken
	}
	return resp, err
}

// broke says that err is about sending the request again.
func (a *attempt) broke(err error) bool {
	var op *net.OpError
	return a.replay || a.sent() && errors.As(err, &op) && op.Op == "dial"
}

func (a *attempt) sent() bool {
	if a.conn == nil {
		return a.got
	}
	return a.replay || a.conn.sent.Load() != a.before
}

// gotConn is called when the request has a connection: once, and again for
// each time that net/http sends it. What was sent is not sent again: each
// connection that is found for it refuses, until net/http gives up.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	c, ok := info.Conn.(*conn)
	switch {
	case ok && a.conn != nil && a.sent():
		a.replay = true
		c.refuse()
	case ok:
		a.conn, a.before = c, c.sent.Load()
	}
	a.got, a.reused = true, info.Reused
}
