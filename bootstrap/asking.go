package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// ErrNoSession says that no session has a box.
var ErrNoSession = errors.New("no `devbox up` watches the box")

// socketOf is where the session of a box listens: beside the box's folder, which
// may yet have to be made.
func socketOf(name string) (string, error) {
	dir, err := dirOf(name)
	return dir + ".socket", err
}

// ListenAsSession opens the socket at which others ask this process about the
// box, of which it has the Session. Who may open it is this user alone, as all in
// the folder of boxes.
func ListenAsSession(ctx context.Context, name string) (net.Listener, error) {
	path, err := socketOf(name)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(path) // of a session that was killed
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("opening the session's socket: %w", err)
	}
	return listener, nil
}

// DialSession connects to the session of a box. It is an ErrNoSession where there
// is none.
func DialSession(ctx context.Context, name string) (net.Conn, error) {
	path, err := socketOf(name)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNoSession
	case err != nil:
		return nil, fmt.Errorf("asking the session of box %s: %w", name, err)
	}
	return conn, nil
}
