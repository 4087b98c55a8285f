package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestEachIsCountedFromWhenItWasDue begins a load, and stops it once there has
// been a failure.
func TestEachIsCountedFromWhenItWasDue(t *testing.T) {
	var seen atomic.Int32
	failed := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := seen.Add(1); {
		case r.Host != "a.example":
			t.Errorf("host %s", r.Host)
		case n == 10:
			w.Header().Set("Content-Length", "100")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler) // half an answer; without its begin net/http would ask again
		case n == 20:
			http.Error(w, "no luck", http.StatusBadGateway)
		case n == 30:
			close(failed)
		}
		fmt.Fprintln(w, "hello")
	}))
	t.Cleanup(server.Close)
	load := New(server.URL+"/", "a.example").Start(1000)
	<-failed
	all := load.Stop()
	if len(all) < 30 || len(all) != int(seen.Load()) {
		t.Fatalf("%d results of %d requests", len(all), seen.Load())
	}
	for i, r := range all {
		if due := all[0].At.Add(time.Duration(i) * time.Millisecond); !r.At.Equal(due) {
			t.Fatalf("request %d was due at %s; want %s", i, r.At.Format(time.StampNano), due.Format(time.StampNano))
		}
		if r.OK() && r.Body != "hello" || r.Took <= 0 {
			t.Errorf("%s", r)
		}
	}
	wrong := all.Failed()
	if len(wrong) != 2 {
		t.Fatalf("failed: %s", wrong.List())
	}
	for _, r := range wrong {
		if (r.Err == nil) != (r.Status == http.StatusBadGateway) {
			t.Errorf("%s", r)
		}
	}
}
