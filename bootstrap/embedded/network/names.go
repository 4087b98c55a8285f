package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// ClusterDomain is the domain of the names that the box itself answers for.
const ClusterDomain = "cluster.local"

const (
	namePort = 53
	// ttl of the box's own answers, which change when services do. In seconds.
	ttl = 5
	// lookupTimeout is how long the machine's name servers may take: as long
	// as a program that asks waits before it asks again.
	lookupTimeout = 5 * time.Second
)

// answerNames opens the pod's name server.
func (o *outside) answerNames() error {
	at := tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(names.AsSlice()), Port: namePort}
	packets, err := gonet.DialUDP(o.stack, &at, nil, ipv4.ProtocolNumber)
	if err != nil {
		return fmt.Errorf("opening a pod's name server: %w", err)
	}
	streams, err := gonet.ListenTCP(o.stack, at, ipv4.ProtocolNumber)
	if err != nil {
		_ = packets.Close()
		return fmt.Errorf("opening a pod's name server: %w", err)
	}
	context.AfterFunc(o.life, func() {
		_ = packets.Close()
		streams.Shutdown()
		_ = streams.Close()
	})
	questions := newLimit(maxQuestions)
	o.flows.Go(func() { o.answerPackets(packets, questions) })
	o.flows.Go(func() { o.answerStreams(streams, questions) })
	return nil
}

func (o *outside) answerPackets(packets *gonet.UDPConn, questions limit) {
	packet := make([]byte, datagram)
	for {
		n, from, err := packets.ReadFrom(packet)
		if err != nil {
			return
		}
		if !questions.take() {
			continue // whoever asks will ask again
		}
		question := append([]byte(nil), packet[:n]...)
		o.flows.Go(func() {
			defer questions.give()
			if answer := o.pod.network.answer(o.life, "udp", question); answer != nil {
				_, _ = packets.WriteTo(answer, from) // lost, as datagrams are
			}
		})
	}
}

func (o *outside) answerStreams(streams net.Listener, questions limit) {
	for {
		stream, err := streams.Accept()
		if err != nil {
			return
		}
		if !questions.take() {
			_ = stream.Close()
			continue
		}
		o.flows.Go(func() {
			defer questions.give()
			defer stream.Close()
			stop := context.AfterFunc(o.life, func() { _ = stream.Close() })
			defer stop()
			for o.answerOne(stream) == nil {
			}
		})
	}
}

// answerOne answers a question on a stream, where each has its length before it.
func (o *outside) answerOne(stream net.Conn) error {
	if err := stream.SetDeadline(time.Now().Add(2 * lookupTimeout)); err != nil {
		return err
	}
	var length [2]byte
	if _, err := io.ReadFull(stream, length[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(stream, question); err != nil {
		return err
	}
	answer := o.pod.network.answer(o.life, "tcp", question)
	if answer == nil {
		return errors.New("this is no question")
	}
	_, err := stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

// answer is the answer to a message, nil where that is no question.
func (n *Network) answer(ctx context.Context, network string, message []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	name := strings.ToLower(question.Name.String())
	r := reply{header: header, question: question}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	switch ours, ok := n.own(name); {
	case ok:
		return r.addresses(ours, true)
	case question.Class == dnsmessage.ClassINET && (question.Type == dnsmessage.TypeA || question.Type == dnsmessage.TypeAAAA):
		found, err := n.resolver.LookupNetIP(ctx, "ip", name)
		if missing, ok := errors.AsType[*net.DNSError](err); err != nil && (!ok || !missing.IsNotFound) {
			return r.fails(dnsmessage.RCodeServerFailure)
		}
		return r.addresses(found, false)
	}
	answer, err := n.forward(ctx, network, message)
	if err != nil {
		n.log.Debug("asking the machine's name servers", "name", name, "error", err)
		return r.fails(dnsmessage.RCodeServerFailure)
	}
	return answer
}

// own are the addresses of a name that the box answers for; none where it has
// no such name.
func (n *Network) own(name string) (addresses []netip.Addr, ok bool) {
	if name == Machine+"." {
		return []netip.Addr{machine}, true
	}
	rest, ok := strings.CutSuffix(name, "."+ClusterDomain+".")
	if !ok {
		return nil, name == ClusterDomain+"."
	}
	labels := strings.Split(rest, ".")
	if len(labels) != 3 || labels[2] != "svc" {
		return nil, true
	}
	if address, ok := n.config.Service(labels[1], labels[0]); ok {
		return []netip.Addr{address}, true
	}
	return nil, true
}

// reply is a message that answers a question.
type reply struct {
	header   dnsmessage.Header
	question dnsmessage.Question
}

// addresses answers with those of the kind that was asked for. A name with
// addresses of the other kind only is there; one with none is not.
func (r reply) addresses(all []netip.Addr, authoritative bool) []byte {
	code := dnsmessage.RCodeSuccess
	if len(all) == 0 {
		code = dnsmessage.RCodeNameError
	}
	return r.message(code, authoritative, all)
}

func (r reply) fails(code dnsmessage.RCode) []byte { return r.message(code, false, nil) }

func (r reply) message(code dnsmessage.RCode, authoritative bool, all []netip.Addr) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: r.header.ID, Response: true, Authoritative: authoritative, RecursionDesired: r.header.RecursionDesired,
			RecursionAvailable: true, RCode: code,
		},
		Questions: []dnsmessage.Question{r.question},
	}
	for _, address := range all {
		header := dnsmessage.ResourceHeader{Name: r.question.Name, Class: dnsmessage.ClassINET, TTL: ttl}
		switch address = address.Unmap(); {
		case address.Is4() && r.question.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
		case address.Is6() && r.question.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil // the question's name came from a message
	}
	return packed
}
