package queue

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
)

// The listeners of a sidecar, in the order of listenerNames.
const (
	adminListener = iota
	autometricListener
	usermetricListener
	servingListener
	entranceListener // takes requests like servingListener, where the sidecar cannot open a port itself
	allListeners
)

// listenerNames are what the listeners are called by whoever hands them to the
// sidecar.
var listenerNames = [allListeners]string{"admin", "autometric", "usermetric", "serving", "entrance"}

// firstFile is the descriptor of the first listener that is handed over.
const firstFile = 3

// listen returns the sidecar's listeners: those that were handed to it, as
// systemd hands sockets, or else those that it opens itself, all or none.
//
// A pod with a network of its own cannot be reached from the network outside;
// there, whoever starts the sidecar opens its entrance outside and hands it in.
func (c Config) listen() (open [allListeners]net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range open {
				if l != nil {
					_ = l.Close()
				}
			}
		}
	}()
	ports := [...]int{c.AdminPort, c.AutometricPort, c.UsermetricPort, c.ServingPort}
	for i, name := range listenerNames {
		switch at := slices.Index(c.Handed, name); {
		case at >= 0:
			open[i], err = handed(firstFile+at, name)
		case i < len(ports):
			open[i], err = listen(c.ListenHost, ports[i])
		}
		if err != nil {
			return open, err
		}
	}
	return open, nil
}

// handed is the listener with this descriptor.
func handed(descriptor int, name string) (net.Listener, error) {
	file := os.NewFile(uintptr(descriptor), name)
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("taking the listener %s, which LISTEN_FDNAMES names: %w", name, err)
	}
	return l, nil
}

func listen(host string, port int) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("opening port %d: %w", port, err)
	}
	return l, nil
}
