package proxy

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

// New returns a reverse proxy that streams in both directions and changes
// nothing but hop-by-hop headers and what rewrite changes: Host, query and
// forwarding headers go through as they came. Rewrite chooses where to.
func New(transport http.RoundTripper, log *slog.Logger, rewrite func(*httputil.ProxyRequest)) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			// ReverseProxy drops parameters that it cannot parse. What a
			// query means is between the client and the container.
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.URL.Scheme = "http"
			// The values of announced trailers come with the end of the body,
			// into the map of the request that came in.
			r.Out.Trailer = r.In.Trailer
			KeepForwarded(r.In.Header, r.Out.Header)
			refuseH2C(r.Out.Header)
			rewrite(r)
		},
		FlushInterval: flushAfter,
		BufferPool:    buffers{},
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// refuseH2C passes over an offer to go on in HTTP/2, as a server may and Envoy
// does: RFC 9113 has done away with it. Each hop of ours has its own way to the
// next one.
func refuseH2C(h http.Header) {
	delete(h, "Http2-Settings")
	if strings.EqualFold(h.Get("Upgrade"), "h2c") {
		NoUpgrade(h)
	}
}

// NoUpgrade passes over an offer to upgrade the connection, as a server may: in
// HTTP/2 the next hop could not be offered it.
func NoUpgrade(h http.Header) {
	delete(h, "Upgrade")
	delete(h, "Connection") // of which the upgrade is all that ReverseProxy lets through
}

// flushAfter is how long a part of an answer of known length waits for the
// rest of it. Most answers are whole by then, and go out in one write: a head
// and a body of their own would wake every hop and the client twice. Answers
// of unknown length, event streams and gRPC among them, do not wait:
// ReverseProxy sends on at once what it reads of them.
const flushAfter = 2 * time.Millisecond

// TransportConfig says how a proxy reaches the next hop.
type TransportConfig struct {
	// H2C speaks HTTP/2 without TLS, and HTTP/1.1 otherwise.
	H2C bool
	// Dial bounds the making of a connection.
	Dial time.Duration
	// Idle is how long an unused connection is kept. It has to be shorter
	// than the next hop keeps it: a connection that the next hop closes may
	// have a request on its way.
	Idle time.Duration
	// Session, where there is one, says of a request's context in which TLS
	// session the request goes; nil is in the clear. What is spoken in it is
	// the same as in the clear: no name in the session changes that.
	Session func(context.Context) (*tls.Config, error)
	// Ping is how long an HTTP/2 connection to the next hop may be silent
	// before that is asked whether it is there; 0 asks never. It is for hops of
	// our own: a gRPC server takes one such question in five minutes, and
	// closes the connection after a few more.
	Ping time.Duration
}

// NewTransport returns a transport that adds nothing to a request.
func NewTransport(c TransportConfig) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(!c.H2C)
	protocols.SetUnencryptedHTTP2(c.H2C)
	dial := &dialer{net.Dialer{Timeout: c.Dial, KeepAlive: 30 * time.Second}, c.Session}
	dialContext := dial.dialOne
	if c.H2C {
		dialContext = dial.dialMany
	}
	return &http.Transport{
		Protocols:           &protocols,
		DialContext:         dialContext,
		DisableCompression:  true, // or it would ask for gzip that nobody asked for, and unpack it
		MaxIdleConnsPerHost: 1000, // a burst's connections serve the next burst
		IdleConnTimeout:     c.Idle,
		// What a container may cost us with a header that does not end.
		MaxResponseHeaderBytes: maxResponseHeader,
		// A client that expects 100-continue gets the next hop's word, unless
		// that has none within a second.
		ExpectContinueTimeout: time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: c.Ping},
	}
}

// FullDuplex lets the answer to r begin while its body is still being read.
// HTTP/2 always does; HTTP/1.1 in Go first swallows the rest of the body,
// which would break a container that answers as it reads.
func FullDuplex(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// Not supported means that nothing stands in the way.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
}

// maxResponseHeader is more than the gateway passes on (Envoy's limit is 60 KiB).
const maxResponseHeader = 256 << 10

const bufferSize = 32 << 10

// bufferPool holds arrays, not slices, so that nothing is allocated to put
// one back.
var bufferPool = sync.Pool{New: func() any { return new([bufferSize]byte) }}

type buffers struct{}

func (buffers) Get() []byte  { return bufferPool.Get().(*[bufferSize]byte)[:] }
func (buffers) Put(b []byte) { bufferPool.Put((*[bufferSize]byte)(b)) }

// ProbeAfter is how long to wait before the next probe of something that has
// not answered for elapsed: 10 ms at first, later 2 % of the time it has
// taken already. So probing never costs more than 2 % of a wait, and a
// container that never comes up is not hammered for ever.
func ProbeAfter(elapsed time.Duration) time.Duration {
	return min(max(elapsed/50, 10*time.Millisecond), 250*time.Millisecond)
}

// Sleep waits for d and says whether ctx lived that long.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
