package node

import (
	"net"
	"net/netip"
	"testing"
)

func TestAddresses(t *testing.T) {
	a := newAddresses()
	first, err := a.take("", true)
	if err != nil {
		t.Fatal(err)
	}
	if !isPods(first.address) || first.port < firstUserPort || first.port > lastUserPort {
		t.Errorf("got %+v", first)
	}
	second, err := a.take(first.address.String(), true)
	if err != nil || second.address == first.address || second.port == first.port {
		t.Errorf("while %v is taken: got %v, %v", first, second, err)
	}
	a.give(first)
	again, err := a.take(first.address.String(), false)
	if err != nil || again.address != first.address || again.port != 0 {
		t.Errorf("after %v was given back: got %v, %v", first, again, err)
	}
}

func TestAddressOfAnotherProcessIsNotTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.77.7.7:8022")
	if err != nil {
		t.Skip("this machine has one loopback address:", err)
	}
	defer l.Close()
	p, err := newAddresses().take("127.77.7.7", false)
	if err != nil || p.address == netip.MustParseAddr("127.77.7.7") {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestIsPods(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.1.0.1": true, "127.254.255.254": true, "127.0.0.1": false, "127.0.1.1": false, "10.0.0.1": false, "::1": false,
	} {
		if got := isPods(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
}
