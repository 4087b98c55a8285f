package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"
)

// Witness sees how one request passes a proxy, when the request asks for it
// with Trace. Of all others there is a nil Witness, which sees nothing and
// costs nothing.
type Witness struct {
	came time.Time

	mu   sync.Mutex // the connection's goroutine tells of what it sends
	hop  Hop
	sent map[string]bool // names of headers, of the last try
}

// NewWitness returns the Witness of a request that came at a time, and nil
// when it asks for none. Name is the proxy's, pod the one in which it runs.
func NewWitness(r *http.Request, came time.Time, name, pod string) *Witness {
	if r.Header[Trace] == nil {
		return nil
	}
	w := &Witness{came: came, hop: Hop{
		Name: name, Pod: pod, Peer: r.RemoteAddr, Inbound: inbound(r), Protocol: r.Proto, Received: received(r),
	}}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		w.hop.Listen = local.String()
	}
	return w
}

// received are the names of the headers that r came with. Two of them net/http
// takes from where they were.
func received(r *http.Request) []string {
	names := maps.Clone(r.Header)
	if r.Host != "" {
		names["Host"] = nil
	}
	if len(r.TransferEncoding) > 0 {
		names["Transfer-Encoding"] = nil
	}
	return bounded(slices.Sorted(maps.Keys(names)))
}

// Follow has w see what is sent with the context that it returns.
func (w *Witness) Follow(ctx context.Context) context.Context {
	if w == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: w.gotConn, WroteHeaderField: w.wrote})
}

// gotConn begins a try.
func (w *Witness) gotConn(info httptrace.GotConnInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hop.From, w.hop.To = info.Conn.LocalAddr().String(), info.Conn.RemoteAddr().String()
	w.hop.Outbound = tunnel(sessionOf(info.Conn))
	w.sent = make(map[string]bool)
}

func (w *Witness) wrote(name string, _ []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case name == ":authority":
		w.sent["Host"] = true
	case !strings.HasPrefix(name, ":"):
		w.sent[http.CanonicalHeaderKey(name)] = true
	}
}

// Answered notes the protocol of the answer, which is the one that the request
// was sent in.
func (w *Witness) Answered(resp *http.Response) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hop.ProtocolSent = resp.Proto
}

// Tell adds what w saw to the headers of an answer that begins now: the
// request was for a revision, and waited that long.
func (w *Witness) Tell(to http.Header, revision string, waited time.Duration, log *slog.Logger) {
	if w == nil {
		return
	}
	w.mu.Lock()
	h := w.hop
	h.Sent = bounded(slices.Sorted(maps.Keys(w.sent)))
	w.mu.Unlock()
	h.Revision, h.Waited, h.FirstByte = revision, waited, time.Since(w.came)
	if err := h.Add(to); err != nil {
		log.Warn("a hop is not told of", "error", err)
	}
}

// Bounds of the names in a report. Envoy passes 60 KiB of headers on.
const (
	mostNames     = 100
	mostNameBytes = 4 << 10
)

// bounded is names, as far as a header has room for them. What is left out is
// counted.
func bounded(names []string) []string {
	size := 0
	for i, name := range names {
		if size += len(name); i == mostNames || size > mostNameBytes {
			return append(names[:i:i], fmt.Sprintf("and %d more", len(names)-i))
		}
	}
	return names
}
