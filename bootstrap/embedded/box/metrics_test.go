package box

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestMetricsAreThisMachines: a page of the web that has its name lead here
// reads nothing.
func TestMetricsAreThisMachines(t *testing.T) {
	h := ofThisMachine(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "numbers") }))
	for host, want := range map[string]int{
		"127.0.0.1:4000": http.StatusOK, "localhost:4000": http.StatusOK, "localhost": http.StatusOK, "[::1]:4000": http.StatusOK,
		"evil.example:4000": http.StatusForbidden, "10.0.0.1:4000": http.StatusForbidden, "": http.StatusForbidden,
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("asked as %q: %d, want %d", host, w.Code, want)
		}
	}
}
