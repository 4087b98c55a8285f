package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// request is a request under way; done ends it.
func (d *Drain) request(proto int, header http.Header) (answer *httptest.ResponseRecorder, done func()) {
	answer = httptest.NewRecorder()
	end, ended := make(chan struct{}), make(chan struct{})
	began := make(chan struct{})
	r := &http.Request{ProtoMajor: proto, Header: header}
	h := d.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(began)
		<-end
	}))
	go func() {
		defer close(ended)
		h.ServeHTTP(answer, r)
	}()
	<-began
	return answer, func() {
		close(end)
		<-ended
	}
}

func TestDrainWaitsForRequestsAndQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Drain
		began := time.Now()
		_, done := d.request(1, nil)
		d.Begin()
		left := make(chan time.Duration, 1)
		go func() {
			if err := d.Wait(t.Context(), time.Second); err != nil {
				t.Error(err)
			}
			left <- time.Since(began)
		}()
		time.Sleep(3 * time.Second)
		done()
		time.Sleep(900 * time.Millisecond)
		_, done = d.request(1, nil) // a late one begins the quiet time anew
		done()
		if got := <-left; got < 4900*time.Millisecond || got > 4920*time.Millisecond {
			t.Errorf("left after %s", got)
		}
	})
}

func TestDrainHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Drain
		_, done := d.request(1, nil)
		defer done()
		d.Begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Wait(ctx, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDrainAsksForConnectionsToBeGivenUp(t *testing.T) {
	var d Drain
	for _, test := range []struct {
		name     string
		draining bool
		proto    int
		header   http.Header
		want     string
	}{
		{"not draining", false, 1, nil, ""},
		{"HTTP/1.1", true, 1, nil, "close"},
		{"an upgrade", true, 1, http.Header{"Upgrade": {"websocket"}}, ""},
		{"HTTP/2", true, 2, nil, ""},
	} {
		if test.draining {
			d.Begin()
		}
		answer, done := d.request(test.proto, test.header)
		done()
		if got := answer.Header().Get("Connection"); got != test.want {
			t.Errorf("%s: Connection: %q, want %q", test.name, got, test.want)
		}
	}
}
