package box

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dial connects to addresses as the box's node does: to those of pods, which
// this machine may have no way to.
func (b *Box) Dial() func(ctx context.Context, network, address string) (net.Conn, error) {
	b.t.Helper()
	dial, err := b.engine.dial(b)
	if err != nil {
		b.t.Fatalf("finding the way to the box's node: %v", err)
	}
	return dial
}

// dialFrom connects from a network namespace. A socket stays in the one in
// which it was made, so a thread has to be there for no longer than that.
func dialFrom(namespace string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		there, err := os.Open(namespace)
		if err != nil {
			return nil, fmt.Errorf("opening the node's network: %w", err)
		}
		defer there.Close()
		here, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return nil, fmt.Errorf("opening the network of this thread: %w", err)
		}
		defer here.Close()
		runtime.LockOSThread()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			return nil, fmt.Errorf("entering the node's network: %w", err)
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
			return nil, fmt.Errorf("coming back from the node's network: %w", back) // and the thread ends with its goroutine
		}
		runtime.UnlockOSThread()
		return conn, err
	}
}
