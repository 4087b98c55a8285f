package activator

import (
	"net/http"
	"testing"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// TestWhichRevisionAnswered: who asks is told, over both protocols and through a
// tag's host; who does not gets what the program wrote, and no program sees the
// question.
func TestWhichRevisionAnswered(t *testing.T) {
	b := newBox(t)
	program := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(proxy.Revision, "made up")
			says(name+" "+r.Header.Get(proxy.AskRevision)).ServeHTTP(w, r)
		})
	}
	b.pod("p1", "hello-00001", program("one"))
	b.pod("p2", "hello-00002", program("two"))
	blue := to("hello-00002", 0)
	blue.Tag, blue.URL = "blue", "http://blue-hello.default.example.com"
	b.route(to("hello-00001", 100), blue)
	b.answers("hello-00001", 1)
	b.answers("hello-00002", 1)

	for _, h2c := range []bool{false, true} {
		c := newClient(t, h2c)
		for _, test := range []struct{ host, asks, answer, revision string }{
			{host, "1", "200 one", "hello-00001"},
			{"blue-hello.default.example.com", "1", "200 two", "hello-00002"},
			{host, "", "200 one", "made up"},
			{"nobody.example.com", "1", `404 no route has the host "nobody.example.com"`, ""},
		} {
			req := b.request(t.Context(), http.MethodGet, "/", nil)
			req.Host = test.host
			if test.asks != "" {
				req.Header.Set(proxy.AskRevision, test.asks)
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			revisions := resp.Header.Values(proxy.Revision)
			if got := read(resp); got != test.answer {
				t.Errorf("%s answers %q, want %q", test.host, got, test.answer)
			}
			if test.revision == "" && len(revisions) == 0 {
				continue
			}
			if len(revisions) != 1 || revisions[0] != test.revision {
				t.Errorf("%s, asked %q: revisions %q, want %q alone", test.host, test.asks, revisions, test.revision)
			}
		}
	}
}
