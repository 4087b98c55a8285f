package network

import (
	"context"
	"os"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// egress is a pod's way out: it takes the packets of the tun device, and gives
// them a stack when the first one comes.
type egress struct {
	pod     *Pod
	tun     *os.File
	running sync.WaitGroup
}

func newEgress(p *Pod) *egress {
	e := &egress{pod: p, tun: p.space.tun}
	e.running.Go(e.run)
	return e
}

// wait returns when the tun device is closed and all that came of it has
// ended.
func (e *egress) wait() { e.running.Wait() }

func (e *egress) run() {
	life, stop := context.WithCancel(context.Background()) // until the device is closed
	defer stop()
	var s *outside
	packet := make([]byte, mtu)
	for {
		n, err := e.tun.Read(packet)
		if err != nil {
			break
		}
		if n == 0 || packet[0]>>4 != 4 {
			continue // the kernel asks for neighbours in IPv6, which go nowhere
		}
		if s == nil {
			if s, err = newOutside(life, e.pod); err != nil {
				e.pod.network.log.Error("a pod has no way out", "address", e.pod.address, "error", err)
				return
			}
			e.running.Go(func() { e.answer(life, s) })
		}
		s.take(packet[:n])
	}
	stop()
	if s != nil {
		s.close()
	}
}

// answer writes what the stack says to the tun device.
func (e *egress) answer(life context.Context, s *outside) {
	for {
		packet := s.link.ReadContext(life)
		if packet == nil {
			return
		}
		view := packet.ToView()
		_, _ = e.tun.Write(view.AsSlice()) // lost, as packets are
		view.Release()
		packet.DecRef()
	}
}

// take gives the stack a packet.
func (s *outside) take(packet []byte) {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
	s.link.InjectInbound(ipv4.ProtocolNumber, p)
	p.DecRef()
}
