// Package patient waits for a server that is away.
//
// What watches an API server waits 30 to 60 seconds between two tries once it
// has failed a few times, each watch for itself. On one machine there is no
// crowd to spread out: here all of them wait for a connection, together, and
// are back in the moment in which the server is.
package patient

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

const (
	every = 100 * time.Millisecond // between two tries to connect
	dial  = 2 * time.Second        // for one, to a machine that is never far
)

// Config is config for somebody who waits. A request waits until its context
// ends while there is no connection to be had, and while a server that starts
// says to come back later. One that a server may have taken is not sent again,
// and what another try would not mend, such as a certificate that does not fit,
// is an error at once.
func Config(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	if config.Dial == nil {
		config.Dial = (&net.Dialer{Timeout: dial}).DialContext
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return transport{next} })
	return config
}

// transport is the requests' part of Config.
type transport struct{ next http.RoundTripper }

var _ utilnet.RoundTripperWrapper = transport{}

// WrappedRoundTripper implements utilnet.RoundTripperWrapper.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		connected := false
		trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }}
		resp, err := t.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
		if err == nil && !starting(resp) || err != nil && (connected || !away(err)) {
			return resp, err
		}
		again, ok := anew(req)
		if !ok {
			return resp, err
		}
		if err == nil {
			_ = resp.Body.Close()
			err = fmt.Errorf("waiting for the server: %s", resp.Status)
		}
		select {
		case <-req.Context().Done():
			return nil, err
		case <-time.After(every):
			req = again
		}
	}
}

// away says whether an error is of a server that is not there: nobody listens,
// or a proxy does and finds nobody behind it, or nobody answers who listens.
func away(err error) bool {
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) || utilnet.IsTimeout(err)
}

// starting says whether a response is of a server that is not ready to look at
// requests. It would have us wait for seconds, being made for a crowd.
func starting(resp *http.Response) bool {
	return resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != ""
}

// anew is the request with its body from the beginning, which the try before
// has closed.
func anew(req *http.Request) (*http.Request, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	req = req.WithContext(req.Context())
	req.Body = body
	return req, true
}
