package delve

import (
	"errors"
	"net"
	"testing"
)

// TestListen: a port that is taken is left for the next one, or is an error.
func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	if _, err := Listen(port, false); !errors.As(err, new(*PortError)) {
		t.Errorf("got %v", err)
	}
	next, err := Listen(port, true)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got := next.Addr().(*net.TCPAddr).Port; got <= port {
		t.Errorf("port %d, not one after %d", got, port)
	}
}
