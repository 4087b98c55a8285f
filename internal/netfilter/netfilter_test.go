package netfilter

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sidecar is the table of a pod with Istio's sidecar, as it was read on kind.
func sidecar(t *testing.T) Table {
	t.Helper()
	text, err := os.ReadFile("testdata/sidecar.txt")
	if err != nil {
		t.Fatal(err)
	}
	table, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func packet(from, to, in, out string, uid int) Packet {
	return Packet{From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to), In: in, Out: out, UID: uid, GID: uid}
}

// TestWalk is what Istio's rules do with the connections of a pod.
func TestWalk(t *testing.T) {
	table := sidecar(t)
	for _, test := range []struct {
		name, chain string
		p           Packet
		verdict     Verdict
		port        uint16
		last        string
	}{
		{
			"activator to queue-proxy", Incoming, packet("10.244.0.6:42798", "10.244.0.10:8012", "eth0", "", -1),
			Redirected, 15006, "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
		},
		{
			"kubelet to Envoy's health", Incoming, packet("10.244.0.1:42798", "10.244.0.10:15021", "eth0", "", -1),
			Stays, 0, "-A ISTIO_INBOUND -p tcp -m tcp --dport 15021 -j RETURN",
		},
		{
			"Envoy to queue-proxy", Outgoing, packet("127.0.0.6:40000", "10.244.0.10:8012", "", "lo", 1337),
			Stays, 0, "-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN",
		},
		{
			"queue-proxy to the container", Outgoing, packet("127.0.0.1:40000", "127.0.0.1:8080", "", "lo", 65532),
			Stays, 0, "-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
		},
		{
			"container to the world", Outgoing, packet("10.244.0.10:40000", "192.0.2.1:443", "", "eth0", 65532),
			Redirected, 15001, "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
		},
		{
			"Envoy to the world", Outgoing, packet("10.244.0.10:40000", "192.0.2.1:443", "", "eth0", 1337),
			Stays, 0, "-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
		},
	} {
		path := table.Walk(test.chain, test.p)
		last := path.Steps[len(path.Steps)-1]
		if path.Verdict != test.verdict || path.Port != test.port || last.Text != test.last || !last.Met {
			t.Errorf("%s: verdict %v, port %d, last rule %q, met %v", test.name, path.Verdict, path.Port, last.Text, last.Met)
		}
	}
}

// TestWalkIsNoGuess is that a rule which is not understood ends it.
func TestWalkIsNoGuess(t *testing.T) {
	for rule, why := range map[string]string{
		"[1:60] -A PREROUTING -m set --match-set few dst -j REDIRECT --to-ports 1": "--match-set",
		"[1:60] -A PREROUTING -p tcp -j DNAT":                                      "-j DNAT",
		"[1:60] -A PREROUTING -j PREROUTING":                                       "-j PREROUTING",
		"[1:60] -A PREROUTING -p tcp -j REDIRECT --to-ports 1-9":                   "--to-ports 1-9",
	} {
		table, err := Parse(rule)
		if err != nil {
			t.Fatal(err)
		}
		path := table.Walk(Incoming, packet("192.0.2.1:1", "192.0.2.2:2", "eth0", "", -1))
		if path.Verdict != Unknown || !strings.HasPrefix(path.Why, why) {
			t.Errorf("%s: verdict %v because of %q, want %q", rule, path.Verdict, path.Why, why)
		}
	}
}

func TestConditions(t *testing.T) {
	p := packet("192.0.2.1:1000", "192.0.2.2:8080", "eth0", "", 1000)
	for conditions, want := range map[string]bool{
		"-s 192.0.2.0/24":                     true,
		"! -s 192.0.2.0/24":                   false,
		"-d 192.0.2.2":                        true,
		"-d 192.0.2.3":                        false,
		"-i eth+":                             true,
		"-i lo":                               false,
		"! -o lo":                             true,
		"-p udp":                              false,
		"-p tcp -m tcp --dport 8000:9000":     true,
		"-p tcp -m tcp --sport 8080":          false,
		"-m owner --uid-owner 999-1001":       true,
		"-m owner ! --gid-owner 1000":         false,
		"-p tcp -m tcp --dport 8080 ! -i lo":  true,
		"! -d 192.0.2.2/32 -p tcp --dport 80": false,
	} {
		table, err := Parse("[0:0] -A PREROUTING " + conditions + " -j ACCEPT")
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Walk(Incoming, p).Steps[0].Met; got != want {
			t.Errorf("%s: met is %v, want %v", conditions, got, want)
		}
	}
}

// TestParse is that only the nat table is read, and counters with it.
func TestParse(t *testing.T) {
	if table := sidecar(t); table.Count("-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT") == 0 || len(table.Chain("ISTIO_INBOUND")) != 5 {
		t.Errorf("read %+v", table)
	}
	table, err := Parse("*mangle\n[1:1] -A PREROUTING -j ACCEPT\nCOMMIT\n*nat\nCOMMIT\n")
	if err != nil || !table.Empty() {
		t.Errorf("a table without rules: %+v, %v", table, err)
	}
	for _, wrong := range []string{"[x:1] -A PREROUTING -j ACCEPT", "[1:1] PREROUTING", "[1:1] -A"} {
		if _, err := Parse(wrong); err == nil {
			t.Errorf("%q is taken for a rule", wrong)
		}
	}
}

func TestParseFlows(t *testing.T) {
	const text = `tcp      6 431999 ESTABLISHED src=10.244.0.6 dst=10.244.0.10 sport=42798 dport=8012 src=10.244.0.10 dst=10.244.0.6 sport=15006 dport=42798 [ASSURED] mark=0 use=1
ipv4     2 tcp      6 70 TIME_WAIT src=10.244.0.1 dst=10.244.0.10 sport=56062 dport=15020 src=10.244.0.10 dst=10.244.0.1 sport=15020 dport=56062 [ASSURED] mark=0 zone=0 use=2
udp      17 29 src=10.244.0.10 dst=10.96.0.10 sport=1 dport=53 src=10.244.0.3 dst=10.244.0.10 sport=53 dport=1
tcp      6 9 SYN_SENT src=fd00::1 dst=fd00::2 sport=1 dport=2 src=fd00::2 dst=fd00::1 sport=3 dport=1
tcp      6 9 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=x dport=2 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=x
tcp      6 9
`
	at := netip.MustParseAddrPort
	want := []Flow{
		{at("10.244.0.6:42798"), at("10.244.0.10:8012"), at("10.244.0.10:15006")},
		{at("10.244.0.1:56062"), at("10.244.0.10:15020"), at("10.244.0.10:15020")},
		{at("[fd00::1]:1"), at("[fd00::2]:2"), at("[fd00::2]:3")},
	}
	if diff := cmp.Diff(want, ParseFlows(text), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("read something else (-want +got):\n%s", diff)
	}
}
