package netfilter

import (
	"net/netip"
	"strconv"
	"strings"
)

// Packet is the first packet of a TCP connection, which is the one that the
// nat table sees.
type Packet struct {
	From, To netip.AddrPort
	In, Out  string // the interface by which it comes or goes; "" is none
	// UID and GID are of the process that sends it; negative where none here does.
	UID, GID int
}

// The chains where the kernel begins: with what comes from outside, and with
// what a process here sends.
const (
	Incoming = "PREROUTING"
	Outgoing = "OUTPUT"
)

// Verdict is what becomes of a connection.
type Verdict int

// What becomes of a connection.
const (
	Stays      Verdict = iota // it goes where it was sent to
	Redirected                // it goes to a port of this namespace
	Unknown                   // it met a rule that is not understood
)

// Path is the way of a connection through the rules.
type Path struct {
	Steps   []Step
	Verdict Verdict
	Port    uint16 // to which it is redirected
	Why     string // the verdict is unknown
}

// Step is a rule that was asked.
type Step struct {
	Rule
	Met bool // it is about this connection
}

// deepest is how many chains may call each other; the kernel refuses circles.
const deepest = 16

// Walk asks the rules of a chain about a connection, in order, until one of
// them decides.
func (t Table) Walk(chain string, p Packet) Path {
	var path Path
	t.walk(chain, p, &path, deepest)
	return path
}

// walk returns whether the connection's way is decided.
func (t Table) walk(chain string, p Packet, path *Path, depth int) bool {
	for _, r := range t.chains[chain] {
		met := r.meets(p)
		path.Steps = append(path.Steps, Step{r, met})
		if r.unknown != "" {
			return path.lost(r.unknown + " in " + r.Text)
		}
		if !met {
			continue
		}
		switch {
		case r.target == "RETURN":
			return false
		case r.target == "ACCEPT":
			return true
		case r.target == "REDIRECT":
			path.Verdict, path.Port = Redirected, r.port
			return true
		case r.target == "" || r.target == "LOG":
		case t.chains[r.target] == nil || depth == 0:
			return path.lost("-j " + r.target)
		case t.walk(r.target, p, path, depth-1):
			return true
		}
	}
	return false
}

func (p *Path) lost(why string) bool {
	p.Verdict, p.Why = Unknown, why
	return true
}

// meets is whether all conditions of a rule hold.
func (r *Rule) meets(p Packet) bool {
	for _, m := range r.matches {
		if m.holds(p) == m.not {
			return false
		}
	}
	return true
}

func (m match) holds(p Packet) bool {
	switch m.flag {
	case "-p":
		return m.value == "tcp" || m.value == "all"
	case "-s":
		return within(p.From.Addr(), m.value)
	case "-d":
		return within(p.To.Addr(), m.value)
	case "-i":
		return device(p.In, m.value)
	case "-o":
		return device(p.Out, m.value)
	case "--sport":
		return ranged(int(p.From.Port()), m.value, ":")
	case "--dport":
		return ranged(int(p.To.Port()), m.value, ":")
	case "--uid-owner":
		return ranged(p.UID, m.value, "-")
	}
	return ranged(p.GID, m.value, "-")
}

// within is whether an address is one, or of a network.
func within(address netip.Addr, network string) bool {
	if prefix, err := netip.ParsePrefix(network); err == nil {
		return prefix.Contains(address.Unmap())
	}
	one, err := netip.ParseAddr(network)
	return err == nil && one == address.Unmap()
}

// device is whether an interface has a name; one that ends in + is of many.
func device(name, pattern string) bool {
	if begin, many := strings.CutSuffix(pattern, "+"); many {
		return strings.HasPrefix(name, begin)
	}
	return name == pattern
}

// ranged is whether a number is one, or between two.
func ranged(n int, text, between string) bool {
	first, last, isRange := strings.Cut(text, between)
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	return err1 == nil && err2 == nil && from <= n && n <= to
}
