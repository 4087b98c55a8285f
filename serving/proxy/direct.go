package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// direct sends requests that have no body over HTTP/1.1. Whoever asks writes
// the request and reads the answer on his own goroutine, where net/http's
// Transport has two more for each connection: they and he wake each other five
// times for a request. What is sent, and how an answer is read, is net/http's.
//
// So nobody looks at a connection that is not used. That the next hop has
// closed it is found out before it is used again, or when its time is over.
type direct struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error) // makes a *conn
	idle time.Duration

	mu   sync.Mutex
	free map[string][]*line // by address; the one last used is the last
}

// line is a connection that carries one request at a time.
type line struct {
	*conn
	address string
	r       *bufio.Reader
	w       *bufio.Writer
	left    int64       // how much may be read
	expires *time.Timer // nil until it is first kept
}

var errLongHead = errors.New("the answer's head does not end")

func newDirect(transport *http.Transport) *direct {
	return &direct{dial: transport.DialContext, idle: transport.IdleConnTimeout, free: make(map[string][]*line)}
}

// takes says whether d sends such requests.
func (d *direct) takes(req *http.Request) bool {
	return d != nil && (req.Body == nil || req.Body == http.NoBody) && req.Header["Upgrade"] == nil && req.URL.Port() != ""
}

// roundTrip sends req once. The error is an UnsentError where nothing of it
// was sent.
func (d *direct) roundTrip(req *http.Request) (*http.Response, error) {
	for {
		l, reused, err := d.take(req.Context(), req.URL.Host)
		if err != nil {
			return nil, &UnsentError{err}
		}
		before := l.sent.Load()
		resp, err := d.exchange(l, req, reused)
		switch {
		case err == nil:
			return resp, nil
		case l.sent.Load() != before:
			return nil, err
		case !reused || req.Context().Err() != nil:
			return nil, &UnsentError{err}
		}
	}
}

// exchange sends req over l and reads the answer's head.
func (d *direct) exchange(l *line, req *http.Request, reused bool) (*http.Response, error) {
	ctx := req.Context()
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: l.conn, Reused: reused})
	}
	a := &reply{line: l, to: d, ctx: ctx, stop: context.AfterFunc(ctx, l.close)}
	resp, err := l.ask(req, trace)
	if err != nil {
		a.end(false)
		return nil, a.why(err)
	}
	a.last = resp.Close || resp.StatusCode < http.StatusOK
	if resp.Body == http.NoBody {
		a.end(true)
	} else {
		a.ReadCloser, resp.Body = resp.Body, a
	}
	return resp, nil
}

// ask sends a request and reads the head of its answer, passing on news that
// comes before.
func (l *line) ask(req *http.Request, trace *httptrace.ClientTrace) (*http.Response, error) {
	if err := req.Write(l.w); err != nil {
		return nil, err
	}
	if err := l.w.Flush(); err != nil {
		return nil, err
	}
	l.left = maxResponseHeader
	for {
		resp, err := http.ReadResponse(l.r, req)
		if err != nil {
			return nil, err
		}
		if news := resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols; !news {
			l.left = math.MaxInt64
			return resp, nil
		}
		if trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(resp.StatusCode, textproto.MIMEHeader(resp.Header)); err != nil {
				return nil, err
			}
			l.left = maxResponseHeader // for whoever is given the news has had it
		}
	}
}

// Read implements io.Reader within what may be read.
func (l *line) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongHead
	}
	n, err := l.conn.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

func (l *line) close() { _ = l.Close() } // nobody uses it any more

// reply is the body of one, and what becomes of its connection.
type reply struct {
	io.ReadCloser
	line *line
	to   *direct
	ctx  context.Context // of the request, whose end closes the connection
	stop func() bool     // keeps that from happening; false where it has
	last bool            // the connection carries no other
	over atomic.Bool
}

// Read implements io.Reader.
func (a *reply) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil {
		a.end(errors.Is(err, io.EOF))
		err = a.why(err)
	}
	return n, err
}

// Close implements io.Closer. An answer that was not read to its end may have
// none, so it takes the connection with it.
func (a *reply) Close() error {
	a.end(false)
	return nil
}

// end gives the connection back if the answer was whole, and closes it if not.
func (a *reply) end(whole bool) {
	switch {
	case a.over.Swap(true):
	case a.stop() && whole && !a.last && a.line.r.Buffered() == 0:
		a.to.put(a.line)
	default:
		a.line.close()
	}
}

// why is the reason for an error of the connection.
func (a *reply) why(err error) error {
	var op *net.OpError
	switch {
	case a.ctx.Err() != nil && !errors.Is(err, io.EOF):
		return context.Cause(a.ctx)
	case a.ReadCloser == nil && (errors.As(err, &op) || errors.Is(err, io.ErrUnexpectedEOF)):
		return errBroken
	}
	return err
}

// take returns a connection to address, and whether it was used before.
func (d *direct) take(ctx context.Context, address string) (l *line, reused bool, err error) {
	for l = d.pop(address); l != nil; l = d.pop(address) {
		if l.still() {
			return l, true, nil
		}
		l.close()
	}
	made, err := d.dial(ctx, "tcp", address)
	if err != nil {
		return nil, false, err
	}
	l = &line{conn: made.(*conn), address: address}
	l.r, l.w = bufio.NewReader(l), bufio.NewWriter(l)
	return l, false, nil
}

func (d *direct) pop(address string) *line {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := d.free[address]
	if len(free) == 0 {
		return nil
	}
	l := free[len(free)-1]
	d.keep(address, free[:len(free)-1])
	l.expires.Stop()
	return l
}

// put keeps l for the next request.
func (d *direct) put(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.free[l.address]) == maxIdle {
		l.close()
		return
	}
	d.free[l.address] = append(d.free[l.address], l)
	if l.expires == nil {
		l.expires = time.AfterFunc(d.idle, func() { d.expire(l) })
	} else {
		l.expires.Reset(d.idle)
	}
}

// expire closes l if nobody has taken it.
func (d *direct) expire(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := d.free[l.address]
	if i := slices.Index(free, l); i >= 0 {
		d.keep(l.address, slices.Delete(free, i, i+1))
		l.close()
	}
}

// keep is called with the lock held.
func (d *direct) keep(address string, free []*line) {
	if len(free) == 0 {
		delete(d.free, address)
		return
	}
	d.free[address] = free
}
