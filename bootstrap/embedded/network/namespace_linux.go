package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// device is the tun device's name in every pod.
const device = "eth0"

// mtu is large, since no packet meets a wire. In bytes.
const mtu = 16 << 10

// namespace is a network namespace and the other end of its tun device.
type namespace struct {
	file *os.File // keeps it, whether or not a process is in it
	tun  *os.File
}

// here is the network namespace of this thread.
func here() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") }

// apart runs f on a thread that enter has moved to another network namespace.
// Where the thread cannot be brought home it ends, and nothing runs on it
// again.
func apart(enter, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := here()
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		if err := enter(); err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = f()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// do runs f on a thread in the namespace.
func (n *namespace) do(f func() error) error {
	return apart(func() error { return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET) }, f)
}

// returns says whether a thread comes back from the namespace, as the one must
// that starts a pod's processes: it takes a right over the machine's own.
func (n *namespace) returns() error {
	home, err := here()
	if err != nil {
		return err
	}
	defer home.Close()
	return n.do(func() error {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("coming back from a network namespace, for which devbox must be run by root: %w", err)
		}
		return nil
	})
}

// newNamespace makes a namespace with all that does not depend on its pod.
func newNamespace() (*namespace, error) {
	n := &namespace{}
	err := apart(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		return nil
	}, func() (err error) {
		if n.file, err = here(); err != nil {
			return err
		}
		if n.tun, err = openTun(); err != nil {
			return fmt.Errorf("making a tun device: %w", err)
		}
		return furnish()
	})
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// openTun makes the tun device of the namespace that the thread is in.
func openTun() (*os.File, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}

// furnish sets up the namespace that the thread is in.
func furnish() error {
	for file, value := range map[string]string{
		// Packets between pods have loopback addresses on the tun device.
		"conf/" + device + "/route_localnet": "1",
		// As in containers: whoever the program is, it may listen on port 80.
		"ip_unprivileged_port_start": "0",
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+file, []byte(value), 0); err != nil {
			return err
		}
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	defer handle.Close()
	lo, err := handle.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback device: %w", err)
	}
	tun, err := handle.LinkByName(device)
	if err != nil {
		return fmt.Errorf("finding the tun device: %w", err)
	}
	own := &net.IPNet{IP: inside.AsSlice(), Mask: net.CIDRMask(subnet.Bits(), inside.BitLen())}
	index := tun.Attrs().Index
	for _, err := range []error{
		handle.LinkSetUp(lo),
		handle.AddrAdd(tun, &netlink.Addr{IPNet: own}),
		handle.LinkSetMTU(tun, mtu),
		handle.LinkSetUp(tun),
		handle.RouteAdd(&netlink.Route{LinkIndex: index, Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0"))}),
		// Longer than the loopback network's own, which is in this table.
		handle.RouteAdd(&netlink.Route{
			LinkIndex: index, Dst: ipNet(Pods), Src: inside.AsSlice(), Scope: netlink.SCOPE_LINK, Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_UNICAST,
		}),
	} {
		if err != nil {
			return fmt.Errorf("setting up a network namespace: %w", err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// address gives the namespace its pod's address.
func (n *namespace) address(address netip.Addr) error {
	return n.do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(lo, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(address, address.BitLen()))})
	})
}

// dial connects to an address as a process in the namespace would.
func (n *namespace) dial(ctx context.Context, network, address string) (connection net.Conn, err error) {
	err = n.do(func() (err error) {
		connection, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return connection, err
}

// listen opens a port of the namespace, on all its addresses.
func (n *namespace) listen(port int) (listener net.Listener, err error) {
	err = n.do(func() (err error) {
		listener, err = net.Listen("tcp", ":"+strconv.Itoa(port)) //nolint:noctx // it waits for nobody
		return err
	})
	return listener, err
}

func (n *namespace) close() error {
	var errs []error
	for _, f := range []*os.File{n.tun, n.file} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
