package load

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var site = Site{
	Gateway: "127.0.0.1:8080", Host: "hello.default.example.com",
	Hosts: []string{"hello.default.example.com", "other.default.example.com", "hello.default.localhost"},
}

func TestTargetsAreOfTheBox(t *testing.T) {
	for _, test := range []struct {
		url, host string // and the Host header
		want      string // URL, or a part of the error
	}{
		{"/", "", "http://hello.default.example.com/"},
		{"/a?b=c", "other.default.example.com", "http://other.default.example.com/a?b=c"},
		{"http://other.default.example.com/x", "", "http://other.default.example.com/x"},
		{"http://hello.default.localhost:8080/", "", "http://hello.default.localhost:8080/"},
		{"http://127.0.0.1:8080/x", "", "http://hello.default.example.com/x"},
		{"http://localhost:8080/x", "other.default.example.com", "http://other.default.example.com/x"},
		{"http://HELLO.default.example.com/", "", "http://HELLO.default.example.com/"},
		{"//evil.example.net/", "", "http://hello.default.example.com//evil.example.net/"},

		{"http://elsewhere.example.net/", "", "elsewhere.example.net is no host of this box"},
		{"http://elsewhere.example.net/", "hello.default.example.com", "elsewhere.example.net is no host of this box"},
		{"http://hello.default.example.com.example.net/", "", "is no host of this box"},
		{"/", "elsewhere.example.net", "elsewhere.example.net is no host of this box"},
		{"http://127.0.0.1:9090/", "", "the gateway of this box is 127.0.0.1:8080"},
		{"http://hello.default.example.com:9090/", "", "the gateway of this box is 127.0.0.1:8080"},
		{"http://hello.default.example.com@elsewhere.example.net/", "", "without a user"},
		{"https://hello.default.example.com/", "", "takes plain http"},
		{"file:///etc/passwd", "", "takes plain http"},
		{"hello", "", "is no path and no URL"},
		{"", "", "is no path and no URL"},
	} {
		header := http.Header{"X-A": {"b"}}
		if test.host != "" {
			header["host"] = []string{test.host}
		}
		got, err := site.Aim(Target{Method: http.MethodGet, URL: test.url, Header: header})
		if err == nil && got.URL != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with host %q is %s, %v; want %s", test.url, test.host, got.URL, err, test.want)
		}
		if err == nil && cmp.Diff(http.Header{"X-A": {"b"}}, got.Header) != "" {
			t.Errorf("%s: header %v", test.url, got.Header)
		}
	}
	for _, method := range []string{"", "get", "G T", "CONNECT", "GET\n"} {
		if _, err := site.Aim(Target{Method: method, URL: "/"}); err == nil || !strings.Contains(err.Error(), "no method") {
			t.Errorf("method %q: %v; want it to be refused", method, err)
		}
	}
}

func TestReadTargets(t *testing.T) {
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := site.ReadTargets("t", strings.NewReader(`# two services
GET /first

POST http://other.default.example.com/second
X-Own: 1
@`+body+`
GET /third
PUT /fourth
`), http.Header{"X-All": {"0"}}, []byte("of all"))
	if err != nil {
		t.Fatal(err)
	}
	all := http.Header{"X-All": {"0"}}
	want := []Target{
		{Method: "GET", URL: "http://hello.default.example.com/first", Header: all, Body: []byte("of all")},
		{Method: "POST", URL: "http://other.default.example.com/second", Header: http.Header{"X-All": {"0"}, "X-Own": {"1"}}, Body: []byte("from a file")},
		{Method: "GET", URL: "http://hello.default.example.com/third", Header: all, Body: []byte("of all")},
		{Method: "PUT", URL: "http://hello.default.example.com/fourth", Header: all, Body: []byte("of all")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func TestWrongTargetsAreNamedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "t: there is no target in it",
		"# nothing\n\n":                    "t: there is no target in it",
		"GET /\n\nfetch /\n":               "t:3: bad method: fetch",
		"GET /\nnonsense\n":                "t:2: bad header: nonsense",
		"GET\n":                            "t:1: bad target: GET",
		"GET hello\n":                      "t:1: bad URL: hello",
		"GET /\n\nGET http://a.example/\n": "t:3: a.example is no host of this box",
		"GET /\nGET /\nGET http://a.example/\nGET /\n": "t:3: a.example is no host of this box",
		"GET /\nHost: a.example\n":                     "t:1: a.example is no host of this box",
		"GET /\nBad Name: x\n":                         "t:1: \"Bad Name: x\" is no header",
		"GET /\n@/no/such/file\n":                      "t:2: bad body: open /no/such/file",
		"GET /\nX: " + strings.Repeat("a", bufio.MaxScanTokenSize) + "\nGET http://a.example/\n": "t:2: a line of more than 64 KiB",
	} {
		got, err := site.ReadTargets("t", strings.NewReader(text), nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q gives %v, %v; want %q", text, got, err, want)
		}
	}
}

func TestParseHeader(t *testing.T) {
	if name, value, err := ParseHeader("X-A:  b: c "); name != "X-A" || value != "b: c" || err != nil {
		t.Errorf("%q, %q, %v", name, value, err)
	}
	for _, text := range []string{"", "X-A", "X-A:", ": b", "X A: b", "X-A: b\nX-B: c", "X-Ä: b"} {
		if _, _, err := ParseHeader(text); err == nil || !strings.Contains(err.Error(), "no header") {
			t.Errorf("%q: %v; want it to be refused", text, err)
		}
	}
}
