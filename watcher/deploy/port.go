package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// portInUse finds the port in what programs say that could not open it, in the
// kernel's words; shared, that it is not queue-proxy's, by the embedded engine's.
var (
	portInUse = regexp.MustCompile(`(?i):(\d{1,5})\b[^\n]*address already in use|address already in use[^\n]*:(\d{1,5})\b`)
	shared    = "share this machine's network"
)

// queuePorts are those that queue-proxy takes before any container of the pod
// starts.
var queuePorts = []int{servingv1.HTTPPort, servingv1.H2CPort, servingv1.QueueAdminPort, servingv1.AutometricPort, servingv1.UsermetricPort}

// portHint says what to do where the words of a container that has ended are
// that a port of queue-proxy's is taken, as it is in every pod of a service.
func portHint(words []string) string {
	said := strings.Join(words, "\n")
	found := portInUse.FindStringSubmatch(said)
	if found == nil || strings.Contains(said, shared) {
		return ""
	}
	port, err := strconv.Atoi(found[1] + found[2])
	if err != nil || !slices.Contains(queuePorts, port) {
		return ""
	}
	return fmt.Sprintf("queue-proxy listens on %d in every pod of a service, as on 8012, 8013, 8022, 9090 and 9091: listen on another port", port)
}
