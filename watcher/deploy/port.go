package deploy

import (
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// shared is in the sentence of the embedded engine's about a port that is the
// machine's.
const shared = "share this machine's network"

// portHint says what to do where the words of a container that has ended are
// that a port of queue-proxy's is taken, as it is in every pod of a service.
func portHint(words []string) string {
	said := strings.Join(words, "\n")
	port, ok := servingv1.PortInUse(said)
	if !ok {
		return ""
	}
	for line := range strings.SplitSeq(said, "\n") {
		if strings.Contains(line, shared) {
			return line
		}
	}
	why := servingv1.QueueProxyHas(port)
	if strings.Contains(said, why) {
		return "" // by the node that ran it
	}
	return why
}
