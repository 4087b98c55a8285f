package deploy

import (
	"fmt"
	"slices"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// shared is in the sentence of the embedded engine's about a port that is the
// machine's.
const shared = "share this machine's network"

// queuePorts are those that queue-proxy takes before any container of the pod
// starts.
var queuePorts = []int32{servingv1.HTTPPort, servingv1.H2CPort, servingv1.QueueAdminPort, servingv1.AutometricPort, servingv1.UsermetricPort}

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
	if !slices.Contains(queuePorts, port) {
		return ""
	}
	return fmt.Sprintf("queue-proxy listens on %d in every pod of a service, as on 8012, 8013, 8022, 9090 and 9091: listen on another port", port)
}
