package way

import (
	"strings"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// session is that of a connection between two hops, by what both say of it:
// each names the other. It is nil where neither knows of any.
func session(before, behind *proxy.Tunnel) *Session {
	if before == nil && behind == nil {
		return nil
	}
	var s Session
	for _, t := range []*proxy.Tunnel{behind, before} {
		if t != nil && t.Version != "" {
			s.Version, s.Cipher = t.Version, t.Cipher
		}
	}
	if before != nil {
		s.Server = before.Peer
	}
	if behind != nil {
		s.Client = behind.Peer
	}
	return &s
}

// sealed puts the two sessions where they end: that of the gateway at the
// activator, and the activator's at the pod. The gateway tells nobody whom it
// found at the other end; the activator's name is known from the pod, which
// has seen its certificate.
func (w *Way) sealed(activator, queue *proxy.Hop) {
	if activator == nil {
		return
	}
	var inPod *proxy.Tunnel
	if queue != nil {
		inPod = queue.Inbound
	}
	if a := w.Hop(Activator); a != nil {
		a.TLS = session(nil, activator.Inbound)
		if a.TLS != nil && inPod != nil {
			a.TLS.Server = inPod.Peer
		}
	}
	end := w.Hop(Sidecar)
	if end == nil {
		end = w.Hop(QueueProxy)
	}
	if end != nil {
		end.TLS = session(activator.Outbound, inPod)
	}
}

// words say what is known of a session.
func (s *Session) words() []string {
	if s == nil {
		return nil
	}
	said := []string{"TLS of an unknown version"}
	if s.Version != "" {
		said = []string{strings.TrimSpace(s.Version + " " + s.Cipher)}
	}
	if s.Client != "" {
		said = append(said, "from "+s.Client)
	}
	if s.Server != "" {
		said = append(said, "to "+s.Server)
	}
	return said
}
