package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// maxKept is the size up to which a body can be sent a second time. It is
// what the transport may have taken of a body of which nothing was sent, and
// more than most bodies have.
const maxKept = 32 << 10

// Body is a request's body. What has been read of it is kept while that is
// little, so that a request which nobody has seen can be sent again.
type Body struct {
	reads   chan struct{} // has a token while somebody reads, however long that takes
	from    io.Reader
	kept    []byte
	lost    bool  // more was read than is kept
	end     error // what reading ended with
	current *reading
}

// reading is the body from its beginning, for one try. The transport may
// close it and may go on reading when its try is over.
type reading struct {
	*Body
	at int
}

// NewBody returns r's body, nil where it has none.
func NewBody(r *http.Request) *Body {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	return &Body{reads: make(chan struct{}, 1), from: r.Body}
}

// patience is how long another try waits for an earlier one to end its
// reading: what it reads has mostly arrived.
const patience = 100 * time.Millisecond

// take makes the caller the one who reads. It returns false where somebody
// else goes on reading for longer than within.
func (b *Body) take(within time.Duration) bool {
	select {
	case b.reads <- struct{}{}:
		return true
	default:
	}
	if within == 0 {
		return false
	}
	select {
	case b.reads <- struct{}{}:
		return true
	case <-time.After(within):
		return false
	}
}

func (b *Body) giveBack() { <-b.reads }

// GiveTo makes b, from its beginning, the body of r, which is another try of
// the same request. It returns false when the beginning is gone, or an
// earlier try is still reading.
func (b *Body) GiveTo(r *http.Request) bool {
	if b == nil {
		return true
	}
	body, err := b.again()
	if err != nil {
		return false
	}
	r.Body, r.GetBody = body, b.again
	return true
}

func (b *Body) again() (io.ReadCloser, error) {
	if !b.take(patience) {
		return http.NoBody, http.ErrBodyReadAfterClose
	}
	defer b.giveBack()
	if b.lost {
		return http.NoBody, http.ErrBodyReadAfterClose
	}
	b.current = &reading{Body: b}
	return b.current, nil
}

// Read implements io.Reader.
func (r *reading) Read(p []byte) (int, error) {
	r.reads <- struct{}{}
	defer r.giveBack()
	switch {
	case r.current != r:
		return 0, http.ErrBodyReadAfterClose
	case r.at < len(r.kept):
		n := copy(p, r.kept[r.at:])
		r.at += n
		return n, nil
	case r.end != nil:
		return 0, r.end
	}
	n, err := r.from.Read(p)
	r.keep(p[:n])
	r.at += n
	r.end = err
	return n, err
}

// Close implements io.Closer. Whoever gave the body closes it.
func (*reading) Close() error { return nil }

// Failed is why the client's body cannot be read to its end, nil while
// nobody has found that.
func (b *Body) Failed() error {
	if b == nil || !b.take(0) {
		return nil
	}
	defer b.giveBack()
	if errors.Is(b.end, io.EOF) {
		return nil
	}
	return b.end
}

func (b *Body) keep(p []byte) {
	if b.lost = b.lost || len(b.kept)+len(p) > maxKept; b.lost {
		b.kept = nil
		return
	}
	b.kept = append(b.kept, p...)
}

// Fetch reads all of a small body of a request that waits: only then does
// net/http look at the connection, and notice that the client has gone.
func (b *Body) Fetch(w http.ResponseWriter, r *http.Request, within time.Duration) {
	if b == nil || !Fetchable(r) || !b.take(0) {
		return
	}
	defer b.giveBack()
	if len(b.kept) > 0 || b.end != nil {
		return // an earlier try has read of it
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(within)) != nil {
		return // nothing bounds the reading
	}
	b.kept = make([]byte, r.ContentLength)
	n, err := io.ReadFull(b.from, b.kept)
	b.kept = b.kept[:n]
	if b.end = err; err == nil {
		b.end = io.EOF
	}
	_ = control.SetReadDeadline(time.Time{}) // as it was
}

// Fetchable says that Fetch reads r's body: it is small, and the client sends
// it without being asked to. HTTP/2 notices by itself that a client has gone.
func Fetchable(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ContentLength > 0 && r.ContentLength <= maxKept && r.Header["Expect"] == nil
}
