package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamespaces(t *testing.T) {
	got := namespaces(`== pod a-1
== rules
*nat
[1:60] -A PREROUTING -p tcp -j ISTIO_INBOUND
== connections
tcp      6 9 SYN_SENT src=10.0.0.1
== pod b-2
== failed
no process of the pod is in the node
== pod c-3
== rules
== failed
iptables-save: Permission denied
(you must be root)
== connections
`)
	want := map[string]Namespace{
		"a-1": {Rules: "*nat\n[1:60] -A PREROUTING -p tcp -j ISTIO_INBOUND\n", Connections: "tcp      6 9 SYN_SENT src=10.0.0.1\n"},
		"b-2": {Failed: "no process of the pod is in the node"},
		"c-3": {Failed: "iptables-save: Permission denied (you must be root)"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read something else (-want +got):\n%s", diff)
	}
}
