//go:build e2e

package chaos

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/load"
)

const (
	bad      = "400"
	got      = `200 subject: GET /echo ""`
	posted   = `200 subject: POST /echo ""`
	smuggled = "GET /echo?smuggled HTTP/1.1\r\nHost: other.default.example.com\r\n\r\n"
)

// pretence is a text that a client sends, and the answers to it, to the next
// request on the same connection too where that is not closed.
type pretence struct {
	name, text string
	want       []string // all that comes back
	gateway    []string // instead where Envoy is in front
}

// ask is the head of a request for the subject.
func ask(line string, headers ...string) string {
	return line + " HTTP/1.1\r\nHost: " + subject + "\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

var pretences = []pretence{
	{
		"a length and chunks", ask("POST /echo", "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n",
		[]string{posted, got}, []string{bad},
	},
	{
		"a request within the length, behind the chunks",
		ask("POST /echo", fmt.Sprintf("Content-Length: %d", 5+len(smuggled)), "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggled,
		[]string{posted, `200 other: GET /echo?smuggled ""`, got}, []string{bad},
	},
	{"two lengths", ask("POST /echo", "Content-Length: 4", "Content-Length: 8") + "body", []string{bad}, nil},
	{"two hosts", ask("GET /echo", "Host: other.default.example.com"), []string{bad}, []string{"404", got}},
	{"the revision of another", ask("GET /echo", "Knative-Serving-Revision: other-00001", "Knative-Serving-Namespace: default"), []string{got, got}, nil},
	{"the same as headers of one hop", ask("GET /echo", "Knative-Serving-Revision: other-00001", "Connection: Knative-Serving-Revision, Host"), []string{got, got}, []string{bad}},
	{"a request that comes from the activator", ask("GET /echo", "K-Proxy-Request: activator", "K-Original-Host: other.default.example.com", "Devbox-Refused: 1"), []string{got, got}, nil},
	{"a probe of queue-proxy", ask("GET /echo", "K-Network-Probe: queue"), []string{"400 this is the activator, not queue", got}, nil},
	{"a probe of both", ask("GET /echo", "K-Network-Probe: activator", "K-Network-Probe: queue"), []string{"200 activator", got}, nil},
	{"a host with a port", "GET /echo HTTP/1.1\r\nHost: " + subject + ":8012\r\n\r\n", []string{got, got}, nil},
	{"a host in capitals", "GET /echo HTTP/1.1\r\nHost: " + strings.ToUpper(subject) + "\r\n\r\n", []string{got, got}, nil},
	{"a host that is a pod's port", "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n", []string{"404", got}, nil},
	{"a tunnel", "CONNECT other.default.example.com:80 HTTP/1.1\r\nHost: other.default.example.com:80\r\n\r\n", []string{"405", got}, []string{"404"}},
}

// pretend sends what a client should not. It sees an answer of the service
// whose host it names, or is refused; it reaches no other, and no container
// sees the headers of the box's own parts.
func (w *world) pretend(t *testing.T) {
	w.service(t, "other", 0, nil)
	for _, p := range pretences {
		t.Run(p.name, func(t *testing.T) {
			want := p.want
			if w.Engine() == "kind" && p.gateway != nil {
				want = p.gateway
			}
			answers := w.raw(t, p.text)
			if !slices.EqualFunc(answers, want, strings.HasPrefix) {
				t.Errorf("got %q, want %q", answers, want)
			}
		})
	}
}

// raw sends text and one proper request over a connection of its own, and
// returns what comes back, one answer after the other, until it is closed.
func (w *world) raw(t *testing.T, text string) []string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(w.Gateway, "http://"), load.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(load.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text+ask("GET /echo", "Connection: close")); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for in := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Errorf("reading an answer: %v", err)
		}
		res.Body.Close()
		answers = append(answers, fmt.Sprintf("%d %s", res.StatusCode, body))
	}
}
