package network

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// Join copies between two connections, each of which may end one way before
// the other, until both have or life is done. It closes them.
func Join(life context.Context, a, b net.Conn) {
	defer a.Close()
	defer b.Close()
	stop := context.AfterFunc(life, func() {
		_ = a.Close()
		_ = b.Close()
	})
	defer stop()
	var back sync.WaitGroup
	back.Go(func() { pass(a, b) })
	pass(b, a)
	back.Wait()
}

// pass copies all that comes from `from`, and then its end.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // the other side learns of it by the end
	if w, ok := to.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}

// exchange copies datagrams until neither side has said anything for a while,
// or life is done. It closes both.
func exchange(life context.Context, a, b net.Conn) {
	defer a.Close()
	defer b.Close()
	stop := context.AfterFunc(life, func() {
		_ = a.Close()
		_ = b.Close()
	})
	defer stop()
	var back sync.WaitGroup
	back.Go(func() { relay(a, b) })
	relay(b, a)
	back.Wait()
}

// relay copies datagrams. Either side may be quiet as long as the other is
// not.
func relay(to, from net.Conn) {
	packet := make([]byte, datagram)
	for {
		n, err := from.Read(packet)
		if err != nil {
			_ = to.SetReadDeadline(time.Now()) // nobody answers any more
			return
		}
		deadline := time.Now().Add(quiet)
		_ = from.SetReadDeadline(deadline) // they are open
		_ = to.SetReadDeadline(deadline)
		_, _ = to.Write(packet[:n]) // lost, as datagrams are
	}
}
