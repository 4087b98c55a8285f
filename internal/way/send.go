package way

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// Request is what is sent.
type Request struct {
	Service, Namespace string // for whom it is, which the picture says
	Plain              bool   // that has no proxy of the serving stack in front of it

	Gateway string      // the box's, as in http://127.0.0.1:8080
	Host    string      // of the service, by which it is found
	Method  string      // GET where it is empty
	Path    string      // with a query, if any; / where it is empty
	Header  http.Header // beside ours
	Body    []byte

	// Networks reads the networks of the service's pods that have a sidecar.
	// It is asked before the request and after it; nil is never asked.
	Networks func(context.Context) map[string]Network
}

func (r *Request) method() string { return cmp.Or(r.Method, http.MethodGet) }

// path is the path without the query.
func (r *Request) path() string {
	path, _, _ := strings.Cut(r.Path, "?")
	return cmp.Or(path, "/")
}

// ErrNoAnswer is that of a connection that was closed.
var ErrNoAnswer = errors.New("the connection was closed without an answer")

// Check says what is wrong with a request, if anything is, before it is sent.
func (r *Request) Check() error {
	_, err := r.make()
	return err
}

// ParseHeader reads headers of a command line, each as Name: value.
func ParseHeader(given []string) (http.Header, error) {
	header := http.Header{}
	for _, line := range given {
		name, value, colon := strings.Cut(line, ":")
		switch {
		case !colon || strings.Trim(name, token) != "" || name == "" || strings.ContainsFunc(value, control):
			return nil, fmt.Errorf("%q is no header; one is 'Name: value'", line)
		case http.CanonicalHeaderKey(name) == "Host":
			return nil, errors.New("the host is the service's, and no header of the request")
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// token are the characters of a header's name.
const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// control is whether a header's value may not hold r.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// Send sends a request, and returns its way to the begin of the answer. Of the
// answer's body it reads the begin, and only where the status is one of an
// error. It follows no redirect: that would be another request.
func Send(ctx context.Context, r Request) (Way, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var seen watch
	req, err := r.make()
	if err != nil {
		return Way{}, err
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, seen.trace()))
	// No proxy, and no header that nobody asked for: the box is on this machine.
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	before := r.networks(ctx)
	seen.began = time.Now()
	resp, err := transport.RoundTrip(req)
	took := time.Since(seen.began)
	switch {
	case errors.Is(err, io.EOF):
		return Way{}, ErrNoAnswer
	case err != nil:
		return Way{}, fmt.Errorf("asking the gateway: %w", err)
	}
	defer resp.Body.Close()
	o := Observation{Request: r, Took: took, Status: resp.StatusCode, Answer: resp.Header, Before: before, After: r.networks(ctx)}
	if resp.StatusCode >= http.StatusBadRequest {
		defer time.AfterFunc(messageTime, cancel).Stop()
		o.Message = message(resp.Body)
	}
	seen.into(&o)
	return Make(o), nil
}

func (r *Request) networks(ctx context.Context) map[string]Network {
	if r.Networks == nil {
		return nil
	}
	return r.Networks(ctx)
}

// How much is read of an error's body, and for how long.
const (
	messageSize = 1 << 10
	messageTime = time.Second
)

// message is the begin of a body; one that does not come is none.
func message(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, messageSize))
	return strings.TrimSpace(strings.ToValidUTF8(string(text), "�"))
}

// make makes the HTTP request.
func (r *Request) make() (*http.Request, error) {
	if r.Path != "" && !strings.HasPrefix(r.Path, "/") {
		return nil, fmt.Errorf("the path %q does not begin with /", r.Path)
	}
	at, err := url.Parse(r.Gateway + r.Path)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	at.Fragment = "" // is the client's own
	req, err := http.NewRequest(r.method(), at.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Host = r.Host
	req.Header.Set(proxy.Trace, "1")
	req.Header.Set(proxy.Timing, "1")
	return req, nil
}

// watch is what the client sees while it sends. The transport tells of it from
// its own goroutines, and may do so until the connection is closed.
type watch struct {
	began time.Time

	mu            sync.Mutex
	local, remote string
	sent          []string
	wrote         time.Time
}

func (w *watch) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.local, w.remote, w.sent = c.Conn.LocalAddr().String(), c.Conn.RemoteAddr().String(), nil
		},
		WroteHeaderField: func(name string, _ []string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sent = append(w.sent, name)
		},
		WroteHeaders: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.wrote = time.Now()
		},
	}
}

// into writes down what was seen.
func (w *watch) into(o *Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o.Local, o.Remote, o.Sent = w.local, w.remote, w.sent
	if !w.wrote.IsZero() {
		o.Wrote = w.wrote.Sub(w.began)
	}
}
