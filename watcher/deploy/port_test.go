package deploy

import (
	"strings"
	"testing"
)

// TestPortHint: a container that ends because a port of queue-proxy's is taken is
// told whose it is, by its reason or its log; others are left alone.
func TestPortHint(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"container user-container exited with code 1\nlisten tcp :9090: bind: address already in use", "queue-proxy has port 9090"},
		{"OSError: [Errno 98] address already in use: ('0.0.0.0:8022')", "queue-proxy has port 8022"},
		{"2026/11/29 07:04:33 listen tcp :9091: bind: address already in use", "queue-proxy has port 9091"},
		{"12:04:33 Error: listen EADDRINUSE: address already in use :::8012", "queue-proxy has port 8012"},
		{"listen tcp :5432: bind: address already in use", ""},
		{"listen tcp :8012: bind: address already in use\nanother pod or program of this machine has port 8012, since pods of the embedded engine share this machine's network here", "another pod or program"},
		{"listen tcp :9090: bind: address already in use\nqueue-proxy has port 9090 in every pod of a service, on every cluster; listen on another", ""},
		{"panic: on purpose", ""},
	} {
		got := portHint(strings.Split(c.words, "\n"))
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.words, got, c.want)
		}
	}
}
