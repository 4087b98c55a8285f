package network

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// patience is how long a test waits for anything on however busy a machine.
const patience = 30 * time.Second

func newTestNetwork(t testing.TB, c Config) *Network {
	t.Helper()
	if c.Service == nil {
		c.Service = func(string, string) (netip.Addr, bool) { return netip.Addr{}, false }
	}
	n, err := New(c)
	if err != nil {
		t.Skip("pods have no networks of their own here:", err)
	}
	t.Cleanup(n.Close)
	return n
}

func newTestPod(t testing.TB, n *Network) *Pod {
	t.Helper()
	p, err := n.Pod(RandomPod())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// serve hands each connection to a listener to handle.
func serve(t testing.TB, listener net.Listener, handle func(net.Conn)) (port string) {
	t.Helper()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// from dials as a process of the pod does.
func from(t testing.TB, p *Pod, network, address string) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := p.space.dial(ctx, network, address)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// says asks for all that a connection has to say to `words`.
func says(t testing.TB, c net.Conn, words []byte) []byte {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(words)
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			err = errors.Join(err, half.CloseWrite())
		}
		sent <- err
	}()
	got, err := io.ReadAll(c)
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAPodReachesTheMachine(t *testing.T) {
	p := newTestPod(t, newTestNetwork(t, Config{}))
	words := make([]byte, 3<<20)
	_, _ = rand.Read(words)
	for _, listening := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", listening)
		if err != nil {
			t.Log(err)
			continue
		}
		c, err := from(t, p, "tcp", machine.String()+":"+serve(t, l, echo))
		if err != nil {
			t.Fatal(err)
		}
		if got := says(t, c, words); !bytes.Equal(got, words) {
			t.Errorf("%s: %d of %d bytes come back", listening, len(got), len(words))
		}
	}
	closed := listen(t, "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(closed.Addr().String())
	_ = closed.Close()
	for _, nobody := range []string{machine.String() + ":" + port, names.String() + ":80", entrance.String() + ":81", RandomPod().String() + ":80"} {
		if _, err := from(t, p, "tcp", nobody); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling %s: %v", nobody, err)
		}
	}
}

func TestAPodReachesTheEntrance(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, l, func(c net.Conn) { _, _ = io.WriteString(c, "the entrance") })
	p := newTestPod(t, newTestNetwork(t, Config{Entrance: l.Addr().String()}))
	c, err := from(t, p, "tcp", entrance.String()+":80")
	if err != nil {
		t.Fatal(err)
	}
	if got := says(t, c, nil); string(got) != "the entrance" {
		t.Errorf("%q answers", got)
	}
}

// TestPodsHaveTheirPortsToThemselves: each its own, also those of queue-proxy and
// of the box.
func TestPodsHaveTheirPortsToThemselves(t *testing.T) {
	n := newTestNetwork(t, Config{})
	here := listen(t, "127.0.0.1:0") // the machine's, on the same port
	number := here.Addr().(*net.TCPAddr).Port
	serve(t, here, func(c net.Conn) { _, _ = io.WriteString(c, "the machine") })
	var pods []*Pod
	for _, name := range []string{"one", "two"} {
		p := newTestPod(t, n)
		l, err := p.Listen(number)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, l, func(c net.Conn) { _, _ = io.WriteString(c, name) })
		pods = append(pods, p)
	}
	if l, err := pods[0].Listen(number); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port is opened twice: %v, %v", l, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, name := range []string{"one", "two"} {
		at := netip.AddrPortFrom(pods[i].address, uint16(number)).String()
		local, err := pods[i].DialLocal(ctx, number)
		if err != nil {
			t.Fatal(err)
		}
		byNode, err := n.Dial(ctx, "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		byOther, err := from(t, pods[1-i], "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]net.Conn{"itself": local, "the node": byNode, "the other pod": byOther} {
			if got := says(t, c, nil); string(got) != name {
				t.Errorf("%s asks pod %s, and %q answers", what, name, got)
			}
			_ = c.Close()
		}
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", at); err == nil {
			_ = c.Close()
			t.Errorf("pod %s is open to the machine's network", name)
		}
	}
}

func TestDatagrams(t *testing.T) {
	p := newTestPod(t, newTestNetwork(t, Config{}))
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() {
		packet := make([]byte, datagram)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(packet[:n], from)
		}
	}()
	_, port, _ := net.SplitHostPort(server.LocalAddr().String())
	c, err := from(t, p, "udp", machine.String()+":"+port)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"one", strings.Repeat("long ", 2000)} {
		if _, err := io.WriteString(c, words); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, datagram)
		n, err := c.Read(got)
		if err != nil || string(got[:n]) != words {
			t.Errorf("%d bytes come back of %d: %v", n, len(words), err)
		}
	}
}

// asking is the resolver of a program in the pod.
func asking(p *Pod, network string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, asked, _ string) (net.Conn, error) {
		if network != "" {
			asked = network
		}
		return p.space.dial(ctx, asked, names.String()+":53")
	}}
}

func TestNames(t *testing.T) {
	n := newTestNetwork(t, Config{Service: func(namespace, name string) (netip.Addr, bool) {
		return entrance, namespace == "default" && name == "hello"
	}})
	server := nameServer(t)
	n.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server)
	}}
	n.servers = func() []string { return []string{server} }
	p := newTestPod(t, n)
	for name, want := range map[string]netip.Addr{
		"hello.default.svc.cluster.local.": entrance,
		"HELLO.default.svc.cluster.local.": entrance,
		Machine + ".":                      machine,
		"there.example.org.":               elsewhere,
	} {
		for _, network := range []string{"udp", "tcp"} {
			got, err := asking(p, network).LookupNetIP(t.Context(), "ip4", name)
			if err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("%s over %s is %v, %v; want %v", name, network, got, err, want)
			}
		}
	}
	for _, name := range []string{
		"hello.other.svc.cluster.local.", "hello.svc.cluster.local.", "hello.default.cluster.local.", "x.hello.default.svc.cluster.local.",
		"cluster.local.", "nowhere.example.org.",
	} {
		_, err := asking(p, "").LookupNetIP(t.Context(), "ip4", name)
		if missing, ok := errors.AsType[*net.DNSError](err); !ok || !missing.IsNotFound {
			t.Errorf("%s: %v; there is no such name", name, err)
		}
	}
}

// elsewhere is there.example.org.
var elsewhere = netip.MustParseAddr("203.0.113.7")

// nameServer stands for one of the machine's.
func nameServer(t *testing.T) (address string) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		packet := make([]byte, datagram)
		for {
			n, from, err := packets.ReadFrom(packet)
			if err != nil {
				return
			}
			var parser dnsmessage.Parser
			header, err := parser.Start(packet[:n])
			question, err2 := parser.Question()
			if err := errors.Join(err, err2); err != nil {
				t.Error(err)
				return
			}
			var found []netip.Addr
			if question.Name.String() == "there.example.org." {
				found = []netip.Addr{elsewhere}
			}
			_, _ = packets.WriteTo(reply{header: header, question: question}.addresses(found, true), from)
		}
	})
	t.Cleanup(func() {
		_ = packets.Close()
		serving.Wait()
	})
	return packets.LocalAddr().String()
}

// TestADeadNameServer: names of the box, and other pods, do not wait for it.
func TestADeadNameServer(t *testing.T) {
	n := newTestNetwork(t, Config{Service: func(string, string) (netip.Addr, bool) { return entrance, true }})
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dead.Close() }()
	n.servers = func() []string { return []string{dead.LocalAddr().String()} }
	p, other := newTestPod(t, n), newTestPod(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	defer asked.Wait()
	defer cancel()
	for range 3 * maxQuestions {
		asked.Go(func() { _, _ = asking(p, "").LookupTXT(ctx, "example.org.") })
	}
	if _, _, err := dead.ReadFrom(make([]byte, datagram)); err != nil { // questions are on their way
		t.Fatal(err)
	}
	got, err := asking(other, "").LookupNetIP(t.Context(), "ip4", "hello.default.svc.cluster.local.")
	if err != nil || len(got) != 1 {
		t.Errorf("another pod's name is %v, %v", got, err)
	}
}

// TestAFloodOfConnections: a pod has so many and no more, its neighbours have
// theirs, and when it goes all of it goes.
func TestAFloodOfConnections(t *testing.T) {
	n := newTestNetwork(t, Config{})
	l := listen(t, "127.0.0.1:0")
	address := machine.String() + ":" + serve(t, l, echo)
	before := runtime.NumGoroutine()
	flooding, other := newTestPod(t, n), newTestPod(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	var open []net.Conn
	full := make(chan struct{})
	var flood sync.WaitGroup
	for range 50 {
		flood.Go(func() {
			for ctx.Err() == nil {
				c, err := flooding.space.dial(ctx, "tcp", address)
				if err != nil {
					return
				}
				mu.Lock()
				open = append(open, c)
				if len(open) == maxFlows {
					close(full)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-full:
	case <-ctx.Done():
		t.Fatalf("%d connections are open", len(open))
	}
	c, err := from(t, other, "tcp", address)
	if err != nil {
		t.Fatalf("a neighbour of a pod with too many connections: %v", err)
	}
	if got := says(t, c, []byte("hello")); string(got) != "hello" {
		t.Errorf("a neighbour gets %q", got)
	}
	cancel()
	flood.Wait()
	if len(open) > maxFlows {
		t.Errorf("%d connections are open; want %d at most", len(open), maxFlows)
	}
	flooding.Close()
	for _, c := range open {
		_ = c.Close()
	}
	other.Close()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before+20; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left, before there were %d", runtime.NumGoroutine(), before)
		}
	}
	if got := len(n.flows); got != 0 {
		t.Errorf("%d flows are left", got)
	}
}

// TestOtherRecords are the machine's name servers' word.
func TestOtherRecords(t *testing.T) {
	n := newTestNetwork(t, Config{})
	server := nameServer(t)
	n.servers = func() []string { return []string{server} }
	p := newTestPod(t, n)
	_, err := asking(p, "udp").LookupTXT(t.Context(), "nowhere.example.org.")
	if missing, ok := errors.AsType[*net.DNSError](err); !ok || !missing.IsNotFound {
		t.Errorf("a record that is not there: %v", err)
	}
}

func TestResolvConf(t *testing.T) {
	got := string(ResolvConf("shop"))
	for _, want := range []string{"search shop.svc.cluster.local svc.cluster.local cluster.local", "nameserver 192.0.0.3\n", "options ndots:5\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q has no %q", got, want)
		}
	}
}

// BenchmarkNamespace is what a pod's start is spared by those made ahead.
func BenchmarkNamespace(b *testing.B) {
	newTestNetwork(b, Config{})
	var made []*namespace
	for b.Loop() {
		s, err := newNamespace()
		if err != nil {
			b.Fatal(err)
		}
		made = append(made, s)
	}
	for _, s := range made {
		_ = s.close()
	}
}

// BenchmarkPod is what a pod's network takes of the box's process: while the
// pod calls nobody, and once it has.
func BenchmarkPod(b *testing.B) {
	n := newTestNetwork(b, Config{})
	address := machine.String() + ":" + serve(b, listen(b, "127.0.0.1:0"), echo)
	for name, used := range map[string]bool{"idle": false, "used": true} {
		b.Run(name, func(b *testing.B) {
			before := inUse()
			for b.Loop() {
				p := newTestPod(b, n)
				if !used {
					continue
				}
				c, err := from(b, p, "tcp", address)
				if err != nil {
					b.Fatal(err)
				}
				says(b, c, []byte("hello"))
				_ = c.Close()
			}
			b.ReportMetric((inUse()-before)/float64(b.N), "B/pod")
		})
	}
}

func inUse() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
