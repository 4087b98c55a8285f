package activator

import (
	"io"
	"net/http"
	"sync/atomic"
)

// kept is a request body that survives a transport which could not send it:
// the transport closes what it was given, and this is not closed by that.
type kept struct {
	io.Reader
	read atomic.Bool
}

// keep makes req's body a kept one. It returns nil for a request without.
func keep(req *http.Request) *kept {
	if req.Body == nil {
		return nil
	}
	body := &kept{Reader: req.Body}
	req.Body = body
	// The transport tries again by itself on another connection when it finds
	// that it has written nothing; GetBody is how it asks for the body anew.
	req.GetBody = func() (io.ReadCloser, error) {
		if body.touched() {
			return nil, http.ErrBodyReadAfterClose
		}
		return body, nil
	}
	return body
}

// touched says that some of the body is gone, so that it cannot be sent again.
func (b *kept) touched() bool { return b != nil && b.read.Load() }

// Read implements io.Reader.
func (b *kept) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.Reader.Read(p)
}

// Close implements io.Closer. Whoever gave the body closes it.
func (b *kept) Close() error { return nil }
