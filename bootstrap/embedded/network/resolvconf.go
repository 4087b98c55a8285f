package network

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// resolvConf is where a machine's name servers are written down.
const resolvConf = "/etc/resolv.conf"

// resolver is what a resolv.conf says.
type resolver struct {
	servers []string // with their ports
	search  []string
}

// readResolver reads a resolv.conf; what is not there is empty.
func readResolver(path string) resolver {
	var r resolver
	content, err := os.ReadFile(path)
	if err != nil {
		return r
	}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) < 2:
		case words[0] == "nameserver":
			r.servers = append(r.servers, net.JoinHostPort(words[1], "53"))
		case words[0] == "search", words[0] == "domain":
			r.search = words[1:]
		}
	}
	return r
}

// ResolvConf is the /etc/resolv.conf of a pod of namespace that has a network
// of its own: as a kubelet writes it, with the machine's own domains last.
func ResolvConf(namespace string) []byte {
	search := []string{namespace + ".svc." + ClusterDomain, "svc." + ClusterDomain, ClusterDomain}
	for _, domain := range readResolver(resolvConf).search {
		if domain != "." {
			search = append(search, domain)
		}
	}
	return fmt.Appendf(nil, "search %s\nnameserver %s\noptions ndots:5\n", strings.Join(search, " "), names)
}

// forward asks the machine's name servers, one after the other, for what its
// own resolver has no word for.
func (n *Network) forward(ctx context.Context, network string, message []byte) ([]byte, error) {
	err := errors.New("the machine has no name server")
	for _, server := range n.servers() {
		var answer []byte
		if answer, err = ask(ctx, network, server, message); err == nil {
			return answer, nil
		}
	}
	return nil, err
}

func ask(ctx context.Context, network, server string, message []byte) ([]byte, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	if network == "udp" {
		if _, err := connection.Write(message); err != nil {
			return nil, err
		}
		answer := make([]byte, datagram)
		n, err := connection.Read(answer)
		return answer[:n], err
	}
	if _, err := connection.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(connection, length[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err = io.ReadFull(connection, answer)
	return answer, err
}
