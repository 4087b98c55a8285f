package way

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// TestSend asks a server that reports what it saw, as an activator does.
func TestSend(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Saw", r.Method+" "+r.Host+r.URL.String()+" "+string(body))
		var received []string
		for name := range r.Header {
			received = append(received, name)
		}
		hop := proxy.Hop{Name: Activator, Peer: r.RemoteAddr, Listen: r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }).String(), Received: received}
		if err := hop.Add(w.Header()); err != nil {
			t.Error(err)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	header, err := ParseHeader([]string{"x-key: very secret", "X-Empty:"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Send(t.Context(), Request{Gateway: server.URL, Host: "hello.default.example.com", Method: http.MethodPut, Path: "/a?q=1#f", Header: header, Body: []byte("data")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Content-Length", "Devbox-Timing", "Devbox-Trace", "Host", "User-Agent", "X-Empty", "X-Key"}
	if diff := cmp.Diff(want, w.Hops[0].Sent); diff != "" {
		t.Errorf("sent: %s", diff)
	}
	if len(w.Hops) != 2 || w.Hops[1].Listen != w.Hops[0].To || w.Hops[1].Peer != w.Hops[0].From || w.Status != http.StatusFound || w.Path != "/a" {
		t.Errorf("got %+v", w)
	}
}

// TestSendOnlyWhatIsThere is a message that never ends, and answers of nobody.
func TestSendOnlyWhatIsThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/closed" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "begun \xff")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	w, err := Send(t.Context(), Request{Gateway: server.URL, Host: "hello"})
	if err != nil || w.Message != "begun �" || w.Hops[1].Name != Nameless {
		t.Errorf("got %+v, %v", w, err)
	}
	if _, err := Send(t.Context(), Request{Gateway: server.URL, Host: "hello", Path: "/closed"}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("closed: %v", err)
	}
	server.Close()
	if _, err := Send(t.Context(), Request{Gateway: server.URL, Host: "hello"}); err == nil || !strings.Contains(err.Error(), "asking the gateway") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestNoRequest(t *testing.T) {
	for _, bad := range []Request{{Path: "nowhere"}, {Path: "/%zz"}, {Path: "/\x7f"}, {Method: "GET IT"}} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	for _, bad := range []string{"", "nonsense", ": value", "a b: c", "X-A: b\r\nX-C: d", "host: other", "X-A: \x00"} {
		if _, err := ParseHeader([]string{bad}); err == nil {
			t.Errorf("header %q is taken", bad)
		}
	}
	good, err := ParseHeader([]string{"a: b", "A:c:d"})
	if diff := cmp.Diff(http.Header{"A": {"b", "c:d"}}, good); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}
