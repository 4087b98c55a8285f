package way

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/internal/netfilter"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

const meshPod = "hello-00001-deployment-x7k2p"

// meshHops are the reports where a sidecar is between our two proxies.
func meshHops(waited time.Duration) []proxy.Hop {
	hops := kindHops(waited)
	hops[1].Peer = "127.0.0.6:38290"
	hops[0].Inbound = &proxy.Tunnel{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Peer: "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway"}
	hops[0].Outbound = &proxy.Tunnel{Version: "TLS 1.3", Cipher: "TLS_AES_256_GCM_SHA384", Peer: "spiffe://cluster.local/ns/default/sa/default"}
	hops[1].Inbound = &proxy.Tunnel{Peer: "spiffe://cluster.local/ns/knative-serving/sa/activator"}
	return hops
}

// meshNetwork is a pod's network, whose rules were read on kind. Those that lead
// a connection to the sidecar have met so many of them.
func meshNetwork(t *testing.T, met string, flows ...string) Network {
	t.Helper()
	text, err := os.ReadFile("../netfilter/testdata/sidecar.txt")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := netfilter.Parse(strings.ReplaceAll(string(text), "[70:", "["+met+":"))
	if err != nil {
		t.Fatal(err)
	}
	return Network{
		Rules: rules, Flows: netfilter.ParseFlows(strings.Join(flows, "\n")), ProxyUser: 1337, QueueUser: 65532,
		Ports: []Port{{Name: "queue-port", Port: 8012}, {Name: "user-port", Port: 8080}, {Name: "envoy-prom", Port: 15090}},
	}
}

const meshFlow = "tcp 6 9 ESTABLISHED src=10.244.0.8 dst=10.244.0.11 sport=51712 dport=8012 src=10.244.0.11 dst=10.244.0.8 sport=15006 dport=51712 [ASSURED] mark=0 use=1"

// meshed are the ways with a sidecar that are drawn.
func meshed(t *testing.T) map[string]Observation {
	of := func(hops []proxy.Hop, before, after map[string]Network) Observation {
		o := seen(t, 200, 4300*time.Microsecond, hops, "Server-Timing", warmTiming, "Server", "istio-envoy")
		o.Before, o.After = before, after
		return o
	}
	on := func(n Network) map[string]Network { return map[string]Network{meshPod: n} }
	hops := meshHops(10 * time.Microsecond)
	read, now := meshNetwork(t, "70", meshFlow), meshNetwork(t, "71", meshFlow)
	return map[string]Observation{
		"mesh-new":    of(hops, on(read), on(now)),
		"mesh-kept":   of(hops, on(read), on(read)),
		"mesh-cold":   of(hops, nil, on(read)),
		"mesh-denied": of(hops, nil, on(Network{Failed: "no permission to talk to docker."})),
		// The rules would lead it there, but have met nothing.
		"mesh-unmet": of(hops, nil, on(meshNetwork(t, "0"))),
	}
}

// TestSidecar is when a sidecar is drawn as one that was seen.
func TestSidecar(t *testing.T) {
	all := meshed(t)
	for name, seen := range map[string]bool{"mesh-new": true, "mesh-kept": true, "mesh-cold": true, "mesh-denied": false, "mesh-unmet": false} {
		w := Make(all[name])
		s := w.Hop(Sidecar)
		if (s != nil) != seen || len(w.Hops) != 6 {
			t.Errorf("%s: %d hops, the sidecar is %+v", name, len(w.Hops), s)
			continue
		}
		if seen && (s.Listen != "10.244.0.11:15006" || !strings.HasSuffix(s.Redirect, "--to-ports 15006") || s.Ports[0].Port != 15090) {
			t.Errorf("%s: %+v", name, s)
		}
	}
	// The kernel tracks the connection, and no rule has led it anywhere.
	o := all["mesh-new"]
	o.After = map[string]Network{meshPod: meshNetwork(t, "70", strings.ReplaceAll(meshFlow, "15006", "8012"))}
	w := Make(o)
	if w.Hop(Sidecar) != nil || w.Hops[3].Seen != Unknown {
		t.Errorf("a connection that was led nowhere: %+v", w.Hops[3])
	}
}

// TestSessions is that each session has its two ends' names, each by the other's
// word.
func TestSessions(t *testing.T) {
	w := Make(meshed(t)["mesh-new"])
	const of = "spiffe://cluster.local/ns/"
	want := []*Session{
		{"TLS 1.3", "TLS_AES_128_GCM_SHA256", of + "istio-system/sa/istio-ingressgateway", of + "knative-serving/sa/activator"},
		{"TLS 1.3", "TLS_AES_256_GCM_SHA384", of + "knative-serving/sa/activator", of + "default/sa/default"},
	}
	if diff := cmp.Diff(want, []*Session{w.Hop(Activator).TLS, w.Hop(Sidecar).TLS}); diff != "" {
		t.Errorf("the sessions differ (-want +got):\n%s", diff)
	}
	for _, h := range Make(observations(t)["warm-kind"]).Hops {
		if h.TLS != nil {
			t.Errorf("%s has a session where nobody told of one", h.Name)
		}
	}
}
