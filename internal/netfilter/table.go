// Package netfilter reads what a Linux kernel does with the connections of one
// network namespace: its rules for addresses, as iptables-save prints them, and
// the connections that it knows, as conntrack does. It runs neither.
//
//	iptables-save -c -t nat ──> Parse ──> Table ── Walk(a connection) ──> Path
//	conntrack -L ─────────────> ParseFlows ──> Flow
//
// A Walk says which rules lead a connection, and where: what they would do. The
// counters beside them say that they did, and a Flow is the kernel's word on one
// connection. A rule with something in it that is not known here ends a Walk,
// which says so: nothing is guessed.
package netfilter

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
)

// Table is the rules of a namespace's nat table, by their chains.
type Table struct{ chains map[string][]Rule }

// Rule is one rule.
type Rule struct {
	Text  string // as iptables-save has it, with -A and the chain's name in front
	Count uint64 // packets that it has met; in a nat table that is connections

	matches []match
	target  string // -j; empty where it does nothing but count
	port    uint16 // that REDIRECT leads to; 0 where it names none
	unknown string // what of it is not known here
}

// match is one condition of a rule.
type match struct {
	flag, value string
	not         bool
}

// Empty is whether the table has no rule.
func (t Table) Empty() bool { return len(t.chains) == 0 }

// Chain is the rules of a chain, in order.
func (t Table) Chain(name string) []Rule { return t.chains[name] }

// Count is what a rule of that text has met, 0 where there is none.
func (t Table) Count(text string) uint64 {
	for _, r := range t.chains[chainOf(text)] {
		if r.Text == text {
			return r.Count
		}
	}
	return 0
}

func chainOf(text string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(text, "-A "), " ")
	return name
}

// Parse reads the nat table out of what iptables-save -c prints.
func Parse(text string) (Table, error) {
	t := Table{chains: map[string][]Rule{}}
	nat := true // where no table is named it is the one that was asked for
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		switch line := strings.TrimSpace(lines.Text()); {
		case strings.HasPrefix(line, "*"):
			nat = line == "*nat"
		case nat && strings.HasPrefix(line, "["):
			rule, err := parseRule(line)
			if err != nil {
				return Table{}, err
			}
			chain := chainOf(rule.Text)
			t.chains[chain] = append(t.chains[chain], rule)
		}
	}
	return t, nil
}

// parseRule reads a rule and its counter: [packets:bytes] -A CHAIN ...
func parseRule(line string) (Rule, error) {
	counter, text, _ := strings.Cut(line, "] ")
	packets, _, _ := strings.Cut(strings.TrimPrefix(counter, "["), ":")
	count, err := strconv.ParseUint(packets, 10, 64)
	fields := strings.Fields(text)
	if err != nil || len(fields) < 2 || fields[0] != "-A" {
		return Rule{}, fmt.Errorf("%q is no rule of iptables-save -c", line)
	}
	r := Rule{Text: text, Count: count}
	r.parse(fields[2:])
	return r, nil
}

// conditions are the flags that Walk understands.
var conditions = map[string]bool{
	"-p": true, "-s": true, "-d": true, "-i": true, "-o": true,
	"--sport": true, "--dport": true, "--uid-owner": true, "--gid-owner": true,
}

func (r *Rule) parse(fields []string) {
	not := false
	for len(fields) > 0 {
		flag := fields[0]
		if flag == "!" {
			not, fields = true, fields[1:]
			continue
		}
		if len(fields) < 2 {
			r.unknown = flag
			return
		}
		value := fields[1]
		switch {
		case flag == "-j":
			r.target = value
		case flag == "-m": // names what knows the flags that follow
		case flag == "--to-ports":
			port, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				r.unknown = flag + " " + value
			}
			r.port = uint16(port)
		case conditions[flag]:
			r.matches = append(r.matches, match{flag, value, not})
		default:
			r.unknown = flag
			return
		}
		not, fields = false, fields[2:]
	}
}
