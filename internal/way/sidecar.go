package way

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kind-in-a-box/devbox/internal/netfilter"
)

// Network is what the kernel does with the connections of one pod that has a
// sidecar: to lead them by the sidecar is the work of its rules.
type Network struct {
	Rules  netfilter.Table
	Flows  []netfilter.Flow
	Failed string // why neither of them is known; "" where they are

	Ports     []Port // of the pod's containers, but the sidecar's
	ProxyUser int    // the user whose connections are the sidecar's own
	QueueUser int    // the user of queue-proxy
}

// Port is one of a pod, and where the kernel leads what comes to it.
type Port struct {
	Name     string `json:"name"`
	Port     uint16 `json:"port"`
	Redirect uint16 `json:"redirect"` // 0 is nowhere else
}

// Rule is one rule of iptables that was asked about a connection.
type Rule struct {
	Rule  string `json:"rule"`  // as iptables-save has it
	Met   bool   `json:"met"`   // it is about this connection
	Count uint64 `json:"count"` // connections that it has met, of all
	Now   uint64 `json:"now"`   // of them, while the request was on its way; of a cold start since the pod began
}

// outside is the interface by which a pod hears of others.
const outside = "eth0"

// bySidecar says of what is between activator and queue-proxy what is known
// of a sidecar, and returns whether it is one.
func (w *Way) bySidecar(between *Hop, pod string, o *Observation) bool {
	after, known := o.After[pod]
	if !known {
		return false
	}
	if after.Failed != "" {
		w.note("Pod %s has a sidecar, which is what did not report. The rules that lead to it could not be read: %s", pod, after.Failed)
		return true
	}
	from, to := address(between.Peer), address(between.Listen)
	path := after.Rules.Walk(netfilter.Incoming, netfilter.Packet{From: from, To: to, In: outside, UID: -1, GID: -1})
	at, confirmed := led(after.Flows, from, to, path)
	if !confirmed {
		w.note("Pod %s has a sidecar, but that the request passed it could not be seen: %s", pod, reasonOf(path))
		return true
	}
	between.Name, between.Seen, between.Pod = Sidecar, Observed, pod
	between.Listen, between.Redirect = at.String(), last(path)
	between.Rules = o.asked(pod, path)
	between.Ports = leads(after, from, to.Addr())
	if n := len(between.Rules); n > 0 && between.Rules[n-1].Now == 0 && !o.cold(pod) {
		w.note("The activator's connection to pod %s was there before the request: its rules had been met when it was made.", pod)
	}
	return true
}

// cold is whether a pod came while the request waited.
func (o *Observation) cold(pod string) bool {
	_, was := o.Before[pod]
	return !was
}

// led is where the kernel led a connection: by its own word where it has one,
// else by the rules where the last of them has led any.
func led(flows []netfilter.Flow, from, to netip.AddrPort, path netfilter.Path) (netip.AddrPort, bool) {
	for _, f := range flows {
		if f.From == from && f.To == to {
			return f.Answers, f.Answers != f.To
		}
	}
	n := len(path.Steps)
	return netip.AddrPortFrom(to.Addr(), path.Port), path.Verdict == netfilter.Redirected && path.Steps[n-1].Count > 0
}

// reasonOf says why a path is no redirection that was seen.
func reasonOf(path netfilter.Path) string {
	switch path.Verdict {
	case netfilter.Unknown:
		return "a rule has something that is not known here: " + path.Why
	case netfilter.Redirected:
		return "the rule that would lead it there has met nothing."
	}
	return "no rule leads its connection there."
}

// last is the rule that decided, as it is met.
func last(path netfilter.Path) string {
	if path.Verdict != netfilter.Redirected {
		return ""
	}
	return path.Steps[len(path.Steps)-1].Text
}

// asked are the rules of a path, with what they have met.
func (o *Observation) asked(pod string, path netfilter.Path) []Rule {
	var all []Rule
	for _, s := range path.Steps {
		before := o.Before[pod].Rules.Count(s.Text)
		all = append(all, Rule{Rule: s.Text, Met: s.Met, Count: s.Count, Now: s.Count - min(before, s.Count)})
	}
	return all
}

// leads is where what comes from outside to each port of a pod is led.
func leads(n Network, from netip.AddrPort, pod netip.Addr) []Port {
	var all []Port
	for _, p := range n.Ports {
		path := n.Rules.Walk(netfilter.Incoming, netfilter.Packet{
			From: from, To: netip.AddrPortFrom(pod, p.Port), In: outside, UID: -1, GID: -1,
		})
		if path.Verdict != netfilter.Unknown {
			p.Redirect = path.Port
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b Port) int { return cmp.Compare(a.Redirect, b.Redirect) })
	return all
}

// local says which rules were asked about a connection that a process of the
// pod, of that user, has made to a hop of the same pod.
func (o *Observation) local(h *Hop, user int) {
	n, known := o.After[h.Pod]
	if !known || n.Failed != "" || h.Peer == "" || h.Listen == "" {
		return
	}
	path := n.Rules.Walk(netfilter.Outgoing, netfilter.Packet{From: address(h.Peer), To: address(h.Listen), Out: "lo", UID: user, GID: user})
	if path.Verdict != netfilter.Unknown {
		h.Rules = o.asked(h.Pod, path)
	}
}

// address is an address as text; what is none is the zero one.
func address(text string) netip.AddrPort {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// ledTo says where the ports of a pod are led: those to the sidecar, and those
// that stay as they are.
func ledTo(ports []Port) (redirected, stay []string) {
	for i, p := range ports {
		said := fmt.Sprintf("%d (%s)", p.Port, p.Name)
		if p.Redirect == 0 {
			stay = append(stay, said)
			continue
		}
		if i == len(ports)-1 || ports[i+1].Redirect != p.Redirect {
			said += fmt.Sprintf(" to %d", p.Redirect)
		}
		redirected = append(redirected, said)
	}
	return redirected, stay
}
