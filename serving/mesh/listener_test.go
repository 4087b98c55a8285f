package mesh_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/serving/mesh"
)

// behind is a server behind a gate, which answers with the protocol.
func behind(t *testing.T, g *mesh.Gate) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: &both, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "Sum")
		fmt.Fprintf(w, "%s %s", r.Proto, body)
		w.Header().Set("Sum", "done")
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(g.Listener(l)) }()
	t.Cleanup(func() { s.Close(); <-served })
	return l.Addr().String()
}

// post sends one request over a connection of its own.
func post(t *testing.T, to string, h2 bool, session *tls.Config) (string, error) {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{Protocols: &protocols, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil && session != nil {
			c = tls.Client(c, session)
		}
		return c, err
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post("http://"+to, "text/plain", strings.NewReader("body"))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.Trailer.Get("Sum") != "done" {
		err = fmt.Errorf("the trailer is %v", resp.Trailer)
	}
	return string(body), err
}

func TestTheFirstByteSaysWhatItIs(t *testing.T) {
	ca := authority(t)
	i := activator(t, ca.Listen())
	i.Want(true, ca.Roots())
	ready(t, i)
	gate := mesh.NewGate(i.Server())
	to := behind(t, gate)
	// What Envoy offers as the name of what follows must not matter.
	client := ca.Client(gateway)
	client.NextProtos = []string{"istio", "h2"}
	for _, test := range []struct {
		policy      mesh.Policy
		clear, tls  bool // what gets an answer
		refusedMore int64
	}{
		{mesh.Policy{Clear: true}, true, false, 0},
		{mesh.Policy{Clear: true, TLS: true}, true, true, 0},
		{mesh.Policy{TLS: true}, false, true, 2},
		{mesh.Policy{}, false, false, 2},
	} {
		gate.Set(test.policy)
		before := gate.Refused()
		for _, within := range []bool{false, true} {
			for _, h2 := range []bool{false, true} {
				session, answers := (*tls.Config)(nil), test.clear
				if within {
					session, answers = client, test.tls
				}
				want := map[bool]string{false: "HTTP/1.1 body", true: "HTTP/2.0 body"}[h2]
				got, err := post(t, to, h2, session)
				if answers && (got != want || err != nil) {
					t.Errorf("%+v, TLS %t, h2 %t: got %q, %v; want %q", test.policy, within, h2, got, err, want)
				}
				if !answers && err == nil {
					t.Errorf("%+v, TLS %t, h2 %t: got %q, want no answer", test.policy, within, h2, got)
				}
			}
		}
		if n := gate.Refused() - before; n != test.refusedMore {
			t.Errorf("%+v: %d connections count as refused, want %d", test.policy, n, test.refusedMore)
		}
	}
}

// TestConnectionsThatAreThereStay: a policy is for those that come.
func TestConnectionsThatAreThereStay(t *testing.T) {
	ca := authority(t)
	i := activator(t, ca.Listen())
	i.Want(true, ca.Roots())
	ready(t, i)
	gate := mesh.NewGate(i.Server())
	gate.Set(mesh.Policy{Clear: true, TLS: true})
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 1}}
	defer client.CloseIdleConnections()
	to := behind(t, gate)
	for range 2 {
		resp, err := client.Get("http://" + to)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		gate.Set(mesh.Policy{TLS: true})
	}
	client.CloseIdleConnections()
	if resp, err := client.Get("http://" + to); err == nil {
		resp.Body.Close()
		t.Error("a new connection in the clear is taken")
	}
}
