//go:build !linux

package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
)

// mtu is that of a tun device, of which there is none here.
const mtu = 1500

// namespace is a matter of Linux.
type namespace struct{ file, tun *os.File }

func newNamespace() (*namespace, error) {
	return nil, errors.New("only Linux gives a process a network of its own")
}

func (*namespace) returns() error { return errors.ErrUnsupported }

func (*namespace) address(netip.Addr) error { return errors.ErrUnsupported }

func (*namespace) dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (*namespace) listen(int) (net.Listener, error) { return nil, errors.ErrUnsupported }

func (*namespace) close() error { return nil }
