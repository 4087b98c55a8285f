package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// tries returns b as one try after the other gets it.
func tries(b *Body) func() (io.Reader, bool) {
	return func() (io.Reader, bool) {
		r := &http.Request{}
		ok := b.GiveTo(r)
		return r.Body, ok
	}
}

func post(body io.Reader) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/", struct{ io.Reader }{body})
}

func TestBodyIsReadAgain(t *testing.T) {
	next := tries(NewBody(post(strings.NewReader("a body"))))
	first, _ := next()
	if _, err := io.ReadFull(first, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		second, ok := next()
		if !ok {
			t.Fatal("it cannot be read again")
		}
		if got, err := io.ReadAll(second); string(got) != "a body" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if n, err := first.Read(make([]byte, 3)); n > 0 || err == nil {
			t.Errorf("a try that is over goes on reading: %d, %v", n, err)
		}
	}
}

func TestLargeBodyIsReadOnce(t *testing.T) {
	next := tries(NewBody(post(strings.NewReader(strings.Repeat("x", maxKept+1)))))
	first, _ := next()
	again, ok := next()
	if !ok {
		t.Fatal("it cannot be sent again before it was read")
	}
	if got, err := io.ReadAll(again); len(got) != maxKept+1 || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if _, ok := next(); ok {
		t.Error("it can be read again")
	}
	if n, _ := first.Read(make([]byte, 1)); n > 0 {
		t.Error("a try that is over goes on reading")
	}
}

// slow is a reader that says when it is read from.
type slow struct{ began, end chan struct{} }

func (s slow) Read([]byte) (int, error) {
	close(s.began)
	<-s.end
	return 0, io.EOF
}

func TestBodyThatIsBeingRead(t *testing.T) {
	from := slow{make(chan struct{}), make(chan struct{})}
	next := tries(NewBody(post(from)))
	first, _ := next()
	ended := make(chan error)
	go func() {
		_, err := io.ReadAll(first)
		ended <- err
	}()
	<-from.began
	if _, ok := next(); ok {
		t.Error("two tries would read at a time")
	}
	close(from.end)
	if err := <-ended; err != nil {
		t.Errorf("the reading is disturbed: %v", err)
	}
}

func TestNoBody(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"none":  httptest.NewRequest(http.MethodGet, "/", nil),
		"empty": httptest.NewRequest(http.MethodPost, "/", http.NoBody),
	} {
		b := NewBody(r)
		if b != nil || !b.GiveTo(r) {
			t.Errorf("%s: got %v", name, b)
		}
	}
}
