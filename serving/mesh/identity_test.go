package mesh_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/mesh/meshtest"
)

const (
	ours    = "spiffe://cluster.local/ns/knative-serving/sa/activator"
	gateway = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway"
	hello   = "spiffe://cluster.local/ns/default/sa/hello"
)

// activator is an Identity of a mesh of its own, without a certificate.
func activator(t *testing.T, at string) *mesh.Identity {
	t.Helper()
	return run(t, mesh.Config{Authority: at})
}

func run(t *testing.T, c mesh.Config) *mesh.Identity {
	t.Helper()
	c.Namespace, c.Account, c.Log = "knative-serving", "activator", slog.New(slog.DiscardHandler)
	c.Token = func(context.Context) (string, error) { return "token", nil }
	i := mesh.NewIdentity(c)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); i.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return i
}

func authority(t *testing.T) *meshtest.Authority {
	t.Helper()
	a := meshtest.New(t)
	a.Accounts = map[string]string{"token": ours}
	return a
}

// ready waits for a certificate.
func ready(t *testing.T, i *mesh.Identity) {
	t.Helper()
	for !i.Ready() {
		select {
		case <-i.Changed():
		case <-time.After(10 * time.Second):
			t.Fatal("there is no certificate after 10s")
		}
	}
}

// shake makes a session of two ends, and returns what each of them says of it.
func shake(t *testing.T, server, client *tls.Config) (*tls.Conn, error, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		session := tls.Server(c, server)
		if err := session.Handshake(); err != nil {
			served <- err
			return
		}
		_, err = session.Write([]byte("x"))
		served <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	session := tls.Client(c, client)
	_, err = session.Read(make([]byte, 1)) // a server of TLS 1.3 says no after the client's yes
	return session, err, <-served
}

func TestNoCertificateIsAskedForUntilOneIsWanted(t *testing.T) {
	ca := authority(t)
	i := activator(t, ca.Listen())
	i.Want(false, ca.Roots())
	if _, err := i.Client("default", "hello", mesh.ALPNHTTP1); !errors.Is(err, mesh.ErrNone) {
		t.Errorf("a client without a certificate: got %v", err)
	}
	i.Want(true, ca.Roots())
	ready(t, i)
	if id, err := i.ID(); err != nil || id.String() != ours {
		t.Errorf("the certificate is of %v (%v), want %s", id, err, ours)
	}
	if n := ca.Signed(); n != 1 {
		t.Errorf("%d certificates were signed, want 1", n)
	}
}

func TestEachSideKnowsTheOther(t *testing.T) {
	ca, other := authority(t), meshtest.New(t)
	i := activator(t, ca.Listen())
	i.Want(true, ca.Roots())
	ready(t, i)
	for name, test := range map[string]struct {
		client *tls.Config
		want   string // of the server's error; "" is none
	}{
		"the gateway":         {ca.Client(gateway), ""},
		"a pod of the mesh":   {ca.Client(hello), ""},
		"nobody":              {&tls.Config{InsecureSkipVerify: true}, "didn't provide a certificate"},
		"another mesh":        {other.Client(gateway), "unknown authority"},
		"another domain":      {ca.Client("spiffe://elsewhere/ns/istio-system/sa/x"), "trust domain"},
		"a name of no SPIFFE": {ca.Client("https://example.com/"), "not of the form"},
	} {
		t.Run("from "+name, func(t *testing.T) {
			session, _, err := shake(t, i.Server(), test.client)
			if test.want == "" && (err != nil || session.ConnectionState().PeerCertificates[0].URIs[0].String() != ours) {
				t.Errorf("got %v, want a session with %s", err, ours)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	for name, test := range map[string]struct {
		server *tls.Config
		want   string // of the client's error; "" is none
	}{
		"the pod":         {ca.Server(hello), ""},
		"another account": {ca.Server("spiffe://cluster.local/ns/default/sa/other"), "and not spiffe://cluster.local/ns/default/sa/hello"},
		"another mesh":    {other.Server(hello), "unknown authority"},
	} {
		t.Run("to "+name, func(t *testing.T) {
			client, err := i.Client("default", "hello", mesh.ALPNHTTP1)
			if err != nil {
				t.Fatal(err)
			}
			_, err, served := shake(t, test.server, client)
			if test.want == "" && (err != nil || served != nil) {
				t.Errorf("got %v and %v, want a session", err, served)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// TestRenewals lives through two days: the authority gives an hour each time,
// and is away for a while.
func TestRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := authority(t)
		l := newPipes()
		ca.Serve(l)
		i := run(t, mesh.Config{Authority: "istiod.test:15012", Dial: l.dial})
		i.Want(true, ca.Roots())
		synctest.Wait()
		if n := ca.Signed(); n != 1 || !i.Ready() {
			t.Fatalf("%d certificates were signed, ready %t; want one", n, i.Ready())
		}
		for half := range 10 {
			time.Sleep(30*time.Minute + time.Second)
			synctest.Wait()
			if n := ca.Signed(); n != half+2 {
				t.Fatalf("after %d halves of a life %d certificates were signed, want %d", half+1, n, half+2)
			}
		}
		i.Want(false, ca.Roots())
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := ca.Signed(); n != 11 || i.Ready() {
			t.Fatalf("%d certificates were signed, ready %t; want no more while none is wanted", n, i.Ready())
		}
		i.Want(true, ca.Roots())
		synctest.Wait()
		ca.Fail(errors.New("away"))
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if i.Ready() {
			t.Error("a certificate that is over counts as valid")
		}
		ca.Fail(nil)
		time.Sleep(31 * time.Second) // the longest pause between two attempts
		synctest.Wait()
		if !i.Ready() {
			t.Error("there is no certificate after the authority came back")
		}
	})
}

// TestOthersRoots: the mesh's roots change, and with them the authority.
func TestOthersRoots(t *testing.T) {
	before, after := authority(t), authority(t)
	first, second := before.Listen(), after.Listen()
	at := make(chan string, 2)
	i := run(t, mesh.Config{Authority: "127.0.0.1:15012", Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", <-at)
	}})
	at <- first
	i.Want(true, before.Roots())
	ready(t, i)
	at <- second
	i.Want(true, after.Roots())
	for after.Signed() == 0 {
		<-i.Changed()
	}
	if _, _, err := shake(t, i.Server(), after.Client(gateway)); err != nil {
		t.Errorf("a client of the new mesh: %v", err)
	}
	if _, _, err := shake(t, i.Server(), before.Client(gateway)); err == nil {
		t.Error("a client of the old mesh is let in")
	}
}

func TestAccountsOfOthersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := authority(t)
		ca.Accounts["token"] = hello
		l := newPipes()
		ca.Serve(l)
		i := run(t, mesh.Config{Authority: "istiod.test:15012", Dial: l.dial})
		i.Want(true, ca.Roots())
		time.Sleep(time.Second)
		synctest.Wait()
		if n := ca.Signed(); n < 2 {
			t.Errorf("it asked %d times, want another try", n)
		}
		if i.Ready() {
			t.Error("it takes a certificate of another account for its own")
		}
	})
}

func TestMode(t *testing.T) {
	for text, want := range map[string]mesh.Mode{"": mesh.Off, "off": mesh.Off, "permissive": mesh.Permissive, "strict": mesh.Strict} {
		if got, err := mesh.ParseMode(map[string]string{"mtls": text}); got != want || err != nil {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, wrong := range []string{"false", "STRICT", "on"} {
		if _, err := mesh.ParseMode(map[string]string{"mtls": wrong}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("mtls: %q", wrong)) {
			t.Errorf("%q: got %v, want an error that names the key", wrong, err)
		}
	}
}
