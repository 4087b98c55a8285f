package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// userServer starts a server in both protocols and returns its address.
func userServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func portOf(t *testing.T, address string) port {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	var p port
	if err := p.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
}

// health is the gRPC health service, spoken by hand from the server's side.
func health(serving map[string]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		frame, _ := io.ReadAll(r.Body)
		name := ""
		if len(frame) > 5 && int(binary.BigEndian.Uint32(frame[1:5])) == len(frame)-5 && frame[5] == 10 {
			name = string(frame[7:])
		}
		w.Header().Set("Content-Type", "application/grpc")
		status, known := serving[name]
		if r.URL.Path != "/grpc.health.v1.Health/Check" || r.ProtoMajor != 2 || !known {
			w.Header().Set("Grpc-Status", "5")
			w.Header().Set("Grpc-Message", "unknown service")
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, status})
		w.Header().Set("Grpc-Status", "0")
	}
}

func TestChecks(t *testing.T) {
	user := userServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.RequestURI() == "/ok?x=1" && r.Header.Get("X-Probe") == "yes" && r.Host == "probed.example.com" && strings.HasPrefix(r.UserAgent(), "kube-probe/"):
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		default:
			http.Error(w, "no", http.StatusServiceUnavailable)
		}
	})
	other := userServer(t, func(http.ResponseWriter, *http.Request) {})
	grpc := userServer(t, health(map[string]byte{"": 1, "ready": 1, "starting": 2}))
	closed := nobody(t)
	service := func(name string) *string { return &name }
	withHeaders := &HTTPGet{Path: "ok?x=1"}
	for _, h := range [][2]string{{"X-Probe", "yes"}, {"host", "probed.example.com"}} {
		withHeaders.HTTPHeaders = append(withHeaders.HTTPHeaders, struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		}{h[0], h[1]})
	}
	for name, test := range map[string]struct {
		probe Probe
		user  string
		want  string // part of the error; empty means ready
	}{
		"no probe":                   {Probe{}, user, ""},
		"no probe, nobody there":     {Probe{}, closed, "connection refused"},
		"tcp":                        {Probe{TCPSocket: &TCPSocket{}}, user, ""},
		"tcp on another port":        {Probe{TCPSocket: &TCPSocket{Port: portOf(t, other)}}, closed, ""},
		"http":                       {Probe{HTTPGet: withHeaders}, user, ""},
		"http redirected":            {Probe{HTTPGet: &HTTPGet{Path: "/moved"}}, user, ""},
		"http refused":               {Probe{HTTPGet: &HTTPGet{}}, user, "GET /: 503"},
		"http on another port":       {Probe{HTTPGet: &HTTPGet{Port: portOf(t, other)}}, user, ""},
		"http, nobody there":         {Probe{HTTPGet: &HTTPGet{}}, closed, "connection refused"},
		"grpc":                       {Probe{GRPC: &GRPC{}}, grpc, ""},
		"grpc, a service":            {Probe{GRPC: &GRPC{Service: service("ready")}}, grpc, ""},
		"grpc, not serving":          {Probe{GRPC: &GRPC{Service: service("starting")}}, grpc, "not SERVING"},
		"grpc, unknown":              {Probe{GRPC: &GRPC{Service: service("other")}}, grpc, `gRPC status "5" unknown service`},
		"grpc to somebody else":      {Probe{GRPC: &GRPC{}}, other, `gRPC status ""`},
		"grpc, a service, long name": {Probe{GRPC: &GRPC{Service: service(strings.Repeat("x", 300))}}, grpc, `gRPC status "5"`},
	} {
		t.Run(name, func(t *testing.T) {
			check, err := checkFor(test.probe, test.user)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err = check(ctx)
			if got := fmt.Sprint(err); (err == nil) != (test.want == "") || err != nil && !strings.Contains(got, test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
