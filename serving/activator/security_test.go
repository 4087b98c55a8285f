package activator

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// twoServices is a box with two services. What each container is asked is
// answered with the service's name and the request as it saw it.
func twoServices(t *testing.T) *box {
	b := newBox(t)
	for _, name := range []string{"hello", "other"} {
		b.pod(name, name+"-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				body = []byte(err.Error())
			}
			fmt.Fprintf(w, "%s: %s %s %q", name, r.Method, r.RequestURI, body)
			for _, h := range slices.Sorted(maps.Keys(r.Header)) {
				if strings.HasPrefix(h, "K") || strings.HasPrefix(h, "Devbox") {
					fmt.Fprintf(w, " %s=%s", h, r.Header[h])
				}
			}
			fmt.Fprint(w, ".")
		}))
	}
	b.change(func(o *objects) {
		o.routes = append(o.routes, makeRoute("hello", to("hello-00001", 100)), makeRoute("other", to("other-00001", 100)))
	})
	b.answers("hello-00001", 1)
	b.answers("other-00001", 1)
	return b
}

// raw sends text over a connection of its own and returns what comes back,
// one response after the other, until the connection is closed.
func (b *box) raw(text string) []string {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	// A last request that says so ends the connection, if nothing before does.
	go func() {
		_, _ = io.WriteString(conn, text+"GET /last HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	}()
	var answers []string
	for in := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers
		}
		answers = append(answers, read(resp))
	}
}

// TestRequestsThatTrickOthers sends what two servers in a row might read as
// two different things. A container sees what its host was sent, once, or
// nothing; no request is seen by the service it is not for.
func TestRequestsThatTrickOthers(t *testing.T) {
	b := twoServices(t)
	const bad = "400 400 Bad Request"
	const last = `200 hello: GET /last "".`
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: other.default.example.com\r\n\r\n"
	head := func(line string, headers ...string) string {
		return line + "\r\nHost: " + host + "\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"a length and chunks": {
			head("POST /a HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n",
			[]string{`200 hello: POST /a "".`, last},
		},
		// What a server that goes by the length takes for a body is a second
		// request here: the gateway does not let such through (Envoy answers
		// 400 to a length and chunks), and without one it is its sender's own.
		"a request behind chunks, within the length": {
			head("POST /a HTTP/1.1", fmt.Sprintf("Content-Length: %d", 5+len(smuggled)), "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggled,
			[]string{`200 hello: POST /a "".`, `200 other: GET /smuggled "".`, last},
		},
		"two lengths":                 {head("POST /a HTTP/1.1", "Content-Length: 4", "Content-Length: 8") + "body", []string{bad}},
		"a length in hexadecimal":     {head("POST /a HTTP/1.1", "Content-Length: 0x4") + "body", []string{bad}},
		"a length with a sign":        {head("POST /a HTTP/1.1", "Content-Length: +4") + "body", []string{bad}},
		"an encoding by another name": {head("POST /a HTTP/1.1", "Transfer-Encoding: xchunked") + "0\r\n\r\n", []string{`501 Unsupported transfer encoding`}},
		"an encoding twice":           {head("POST /a HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "0\r\n\r\n", []string{`501 Unsupported transfer encoding`}},
		"an encoding with a tab":      {head("POST /a HTTP/1.1", "Transfer-Encoding:\tchunked") + "0\r\n\r\n", []string{`200 hello: POST /a "".`, last}},
		"a space before the colon":    {head("POST /a HTTP/1.1", "Transfer-Encoding : chunked") + "0\r\n\r\n", []string{bad + ": invalid header name"}},
		"a folded header":             {head("GET /a HTTP/1.1", "X-A: b", " c: d"), []string{`200 hello: GET /a "".`, last}},
		"a bare line feed":            {strings.ReplaceAll(head("GET /a HTTP/1.1", "X-A: b"), "\r\n", "\n"), []string{`200 hello: GET /a "".`, last}},
		"a chunk's size is too large": {head("POST /a HTTP/1.1", "Transfer-Encoding: chunked") + "fffffffffffffffff\r\n", []string{"400 the request's body cannot be read: http chunk length too large"}},
		"two hosts":                   {head("GET /a HTTP/1.1", "Host: other.default.example.com"), []string{bad}},
		"no host":                     {"GET /a HTTP/1.1\r\n\r\n", []string{bad + ": missing required Host header"}},
		"another host in the line":    {head("GET http://other.default.example.com/a HTTP/1.1"), []string{`200 other: GET /a "".`, last}},
		"a host with a user":          {"GET /a HTTP/1.1\r\nHost: " + host + "@other.default.example.com\r\n\r\n", []string{bad + ": malformed Host header"}},
		"a host with a path":          {"GET /a HTTP/1.1\r\nHost: " + host + "/x\r\n\r\n", []string{bad + ": malformed Host header"}},
		"a host with two ports":       {"GET /a HTTP/1.1\r\nHost: " + host + ":80:other.default.example.com\r\n\r\n", []string{`404 no route has the host "hello.default.example.com:80:other.default.example.com"`, last}},
		"the address of a pod":        {"GET /a HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n", []string{`404 no route has the host "127.0.0.1:9090"`, last}},
		"a tunnel":                    {"CONNECT other.default.example.com:80 HTTP/1.1\r\nHost: other.default.example.com\r\n\r\n", []string{"405 this proxy opens no tunnels", last}},
		"a space in the target":       {head("GET /a HTTP/1.1 HTTP/1.1"), []string{bad}},
		"OPTIONS of all":              {head("OPTIONS * HTTP/1.1"), []string{"200 ", last}},
		"a path that climbs":          {head("GET /a/../../b/%2e%2e/c HTTP/1.1"), []string{`200 hello: GET /a/../../b/%2e%2e/c "".`, last}},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.raw(test.text)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestHeadersOfOursFromOutside tries to speak as one of the proxies: in every
// spelling, as a header of one hop, and as a trailer.
func TestHeadersOfOursFromOutside(t *testing.T) {
	b := twoServices(t)
	ours := []string{proxy.Revision, proxy.Namespace, proxy.ProxyRequest, proxy.OriginalHost, proxy.NetworkHash, proxy.Refused, proxy.Timing}
	var text strings.Builder
	for _, name := range ours {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			fmt.Fprintf(&text, "%s: other-00001\r\n", spelling)
		}
	}
	const want = `200 hello: GET /a "".`
	for name, head := range map[string]string{
		"as they are":  text.String(),
		"of one hop":   text.String() + "Connection: " + strings.Join(ours, ", ") + "\r\n",
		"ours dropped": "Connection: Knative-Serving-Revision, Knative-Serving-Namespace, K-Proxy-Request, Host\r\n",
	} {
		if got := b.raw("GET /a HTTP/1.1\r\nHost: " + host + "\r\n" + head + "\r\n"); len(got) == 0 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	chunked := "POST /a HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\nTrailer: Knative-Serving-Revision\r\n\r\n0\r\nKnative-Serving-Revision: other-00001\r\n\r\n"
	if got := b.raw(chunked); len(got) == 0 || got[0] != `200 hello: POST /a "".` {
		t.Errorf("as a trailer: got %q", got)
	}
}

// TestLargeHeads sends heads of all sizes around what is taken. They are
// answered or refused, by whichever proxy: nothing breaks.
func TestLargeHeads(t *testing.T) {
	b := twoServices(t)
	const surely, never = 40_000, 100_000 // net/http and HTTP/2 count in different ways
	for _, h2c := range []bool{false, true} {
		c := newClient(t, h2c)
		for _, size := range []int{surely, 60_000, 64_000, 65_000, 65_536, 66_000, 68_000, 69_000, 69_500, 69_632, 70_000, 80_000, never, 1_000_000} {
			for shape, headers := range map[string]int{"one header": 1, "many headers": size / 100} {
				req := b.request(t.Context(), http.MethodGet, "/a", nil)
				for i := range headers {
					req.Header.Set(fmt.Sprintf("X-%05d", i), strings.Repeat("x", size/headers-20))
				}
				got := ""
				switch resp, err := c.Do(req); {
				case err == nil && resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge:
					got = resp.Status // its body is lost to a client that still sends its head
					resp.Body.Close()
				case err == nil:
					got = read(resp)
				case size > surely:
					got = "431 " + err.Error() // HTTP/2 tells before anything is sent; HTTP/1.1 closes on who sends on
				}
				if ok := got == `200 hello: GET /a "".`; ok && size >= never || !ok && (size <= surely || !strings.HasPrefix(got, "431 ")) {
					t.Errorf("h2c=%t, %s of %d bytes: got %q", h2c, shape, size, got)
				}
			}
		}
	}
}
