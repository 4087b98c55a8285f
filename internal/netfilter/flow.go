package netfilter

import (
	"net/netip"
	"strings"
)

// Flow is a TCP connection as the kernel tracks it: where it was sent to, and
// who answers it.
type Flow struct {
	From, To netip.AddrPort
	Answers  netip.AddrPort // To, unless a rule has led it elsewhere
}

// ParseFlows reads what conntrack -L prints, or the kernel's own nf_conntrack.
// What is no TCP connection is left out.
func ParseFlows(text string) []Flow {
	var flows []Flow
	for line := range strings.Lines(text) {
		if f, ok := parseFlow(strings.Fields(line)); ok {
			flows = append(flows, f)
		}
	}
	return flows
}

// parseFlow reads src, dst, sport and dport of both directions, in that order.
func parseFlow(fields []string) (Flow, bool) {
	var of [2]map[string]string
	way, tcp := -1, false
	for _, field := range fields {
		key, value, pair := strings.Cut(field, "=")
		tcp = tcp || field == "tcp"
		if !pair {
			continue
		}
		if key == "src" {
			if way++; way == len(of) {
				break
			}
			of[way] = map[string]string{}
		}
		if way >= 0 {
			of[way][key] = value
		}
	}
	if !tcp || way < 1 {
		return Flow{}, false
	}
	from, ok1 := endpoint(of[0], "src", "sport")
	to, ok2 := endpoint(of[0], "dst", "dport")
	answers, ok3 := endpoint(of[1], "src", "sport")
	return Flow{from, to, answers}, ok1 && ok2 && ok3
}

func endpoint(of map[string]string, address, port string) (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(joined(of[address], of[port]))
	return at, err == nil
}

func joined(address, port string) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return address + ":" + port
}
