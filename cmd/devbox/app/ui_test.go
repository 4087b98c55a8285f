package app

import (
	"net"
	"strings"
	"testing"
)

func TestPageListener(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	if _, err := pageListener(port, true); err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("a port that was asked for and is taken: %v", err)
	}
	next, err := pageListener(port, false)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got := next.Addr().(*net.TCPAddr); got.Port <= port || !got.IP.IsLoopback() {
		t.Errorf("listens on %s, want a later port than %d, on loopback", got, port)
	}
}
