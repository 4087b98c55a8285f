package queue

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAwait(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 4 {
			http.Error(w, "not ready: no listeners yet", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if err := Await(t.Context(), server.URL); err != nil || asked.Load() != 4 {
		t.Errorf("asked %d times, error %v; want the fourth answer to be good", asked.Load(), err)
	}
}

// TestAwaitSaysWhy: where nothing answers in time, the last answer is the reason.
func TestAwaitSaysWhy(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 2 {
			cancel()
			<-r.Context().Done()
		}
		http.Error(w, "not ready: no listeners yet", http.StatusServiceUnavailable)
	}))
	if err := Await(ctx, server.URL); err == nil || !strings.Contains(err.Error(), "no listeners yet") {
		t.Errorf("got %v; want what was answered", err)
	}
	server.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 3*awaitPeriod)
	defer cancel()
	if err := Await(ctx, server.URL); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v; want that nobody listens", err)
	}
}
