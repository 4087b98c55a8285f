package kind

import (
	"net/netip"
	"strings"
	"testing"
)

// TestKnowing: the name is there once, with the address of now, before whom else
// names are asked of.
func TestKnowing(t *testing.T) {
	const kubeadms = ".:53 {\n    errors\n    kubernetes cluster.local {\n       pods insecure\n    }\n    forward . /etc/resolv.conf\n}\n"
	one := knowing(kubeadms, netip.MustParseAddr("172.18.0.1"))
	want := strings.Replace(kubeadms, "{\n", "{\n    hosts {\n       172.18.0.1 host.devbox.internal\n       fallthrough\n    }\n", 1)
	if one != want {
		t.Errorf("got\n%s\nwant\n%s", one, want)
	}
	if again := knowing(one, netip.MustParseAddr("172.18.0.1")); again != one {
		t.Errorf("once more it is\n%s", again)
	}
	if moved := knowing(one, netip.MustParseAddr("172.19.0.1")); moved != strings.Replace(want, "172.18.0.1", "172.19.0.1", 1) {
		t.Errorf("at another address it is\n%s", moved)
	}
	if other := knowing("somebody's own", netip.MustParseAddr("172.18.0.1")); other != "somebody's own" {
		t.Errorf("what is no Corefile has become %q", other)
	}
}
