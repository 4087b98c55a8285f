package activator

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestBadContainer is what a client sees of containers that do not keep to
// HTTP; a | is between two of which either may come, by whether the head has
// gone on when the rest is found wrong. Each is asked twice, and another container in between: nothing of one
// answer may get into the next.
func TestBadContainer(t *testing.T) {
	long := strings.Repeat("x", 512<<10)
	for name, test := range map[string]struct{ says, want string }{
		"nothing":                {"", "502 the user container gave no answer: "},
		"no HTTP":                {"I am no web server\r\n\r\n", "502 the user container gave no answer: "},
		"noise":                  {"\x00\x01\x02\x03\xff\xfe\r\n\r\n\r\n", "502 the user container gave no answer: "},
		"TLS":                    {"\x15\x03\x01\x00\x02\x02\x28", "502 the user container gave no answer: "},
		"a wrong status":         {"HTTP/1.1 20x OK\r\n\r\n", "502 the user container gave no answer: "},
		"a version of its own":   {"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok"},
		"a head without an end":  {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "502 the user container gave no answer: "},
		"a header without end":   {"HTTP/1.1 200 OK\r\nX-Long: " + long, "502 the user container gave no answer: "},
		"a header without name":  {"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok", "502 the user container gave no answer: "},
		"two lengths":            {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", "502 the user container gave no answer: "},
		"a length below zero":    {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "502 the user container gave no answer: "},
		"less than it promised":  {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "502 the pod gave no answer: |EOF"},
		"more than it promised":  {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanother", "200 ok"},
		"a chunk that breaks":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "502 the pod gave no answer: |EOF"},
		"a chunk of no size":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", "502 the pod gave no answer: |EOF"},
		"an unknown encoding":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nhello", "502 the user container gave no answer: "},
		"news without an end":    {strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", 1e5), "502 the user container gave no answer: "},
		"an upgrade unasked for": {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "502 the user container gave no answer: "},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			bad := b.pod("bad", "bad-00001", nil, func(c *podConfig) { c.lateUser = true })
			mouth(t, bad.user.Addr, test.says)
			b.pod("good", "good-00001", says("good"))
			b.change(func(o *objects) {
				o.routes = append(o.routes, makeRoute("hello", to("bad-00001", 100)), makeRoute("good", to("good-00001", 100)))
			})
			b.answers("bad-00001", 1)
			b.answers("good-00001", 1)
			c := newClient(t, false)
			for range 2 {
				got := b.get(c, "/")
				if !slices.ContainsFunc(strings.Split(test.want, "|"), func(want string) bool { return strings.HasPrefix(got, want) || strings.HasSuffix(got, want) }) {
					t.Errorf("got %.200q, want %q", got, test.want)
				}
				req := b.request(t.Context(), http.MethodGet, "/", nil)
				req.Host = "good.default.example.com"
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if got := read(resp); got != "200 good" {
					t.Errorf("from another container: %.200q", got)
				}
			}
		})
	}
}

// mouth listens at address and says the same to every request.
func mouth(t *testing.T, address, says string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		talks.Wait()
	})
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, says)
				}
			})
		}
	})
}
