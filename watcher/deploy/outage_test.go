package deploy_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// line leads to an API server in a container: the engine's proxy takes
// connections also while there is no server behind it, and closes them.
type line struct {
	mu    sync.Mutex
	isCut bool
	vain  int // connections while it was cut
	conns []net.Conn
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		l.vain++
		conn, _ := net.Pipe()
		return hungUp{conn}, nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		l.conns = append(l.conns, conn)
	}
	return conn, err
}

// hungUp is a connection that its other end has closed.
type hungUp struct{ net.Conn }

func (hungUp) Read([]byte) (int, error)    { return 0, io.EOF }
func (hungUp) Write(b []byte) (int, error) { return len(b), nil }

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}

func (l *line) triedInVain() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.vain
}

// TestAPIServerGone has the API server away while a revision is on its way.
// The deployer goes on trying at the pace that it began with: watches left to
// themselves make 30 tries in the first minute, and fewer in the next.
func TestAPIServerGone(t *testing.T) {
	const many = 200
	var l line
	config := bed.Start(t).REST()
	config.Dial = l.dial
	s := newStageBy(t, config)
	s.route("hello-00000")
	next, end := s.follow(t.Context(), s.apply(s.manifest(), "localhost:5001/hello:1"))
	next(deploy.Slow)
	l.cut()
	s.route(s.revise("hello-00001").Name)
	for deadline := time.Now().Add(time.Minute); l.triedInVain() < many; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it has tried %d times and waits; want %d", l.triedInVain(), many)
		}
	}
	l.mend()
	next(deploy.Created)
	next(deploy.Live)
	if err := end(); err != nil {
		t.Errorf("Wait = %v", err)
	}
}
