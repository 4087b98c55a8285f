package v1

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Ports of a revision's pod and of the activator, by Knative's numbers.
const (
	HTTPPort        = 8012 // queue-proxy and activator: requests, HTTP/1.1 and h2c
	H2CPort         = 8013 // the same for a backend that must be spoken to in h2c
	QueueAdminPort  = 8022 // queue-proxy: /wait-for-drain
	AutometricPort  = 9090 // queue-proxy: concurrency and rate
	UsermetricPort  = 9091 // queue-proxy: request metrics
	DefaultUserPort = 8080 // user container, where it names no port
)

// Names of a pod's ports. The user's own name for theirs says which protocol
// it speaks, and queue-proxy alone needs to know that.
const (
	HTTPPortName       = "queue-port"
	QueueAdminPortName = "http-queueadm"
	AutometricPortName = "http-autometric"
	UsermetricPortName = "http-usermetric"
	UserPortName       = "user-port"
)

// PortsAnnotation is written by a node that gives a pod other ports than its
// spec says, with the pod's address: [ChosenPorts] as JSON.
const PortsAnnotation = "devbox.dev/ports"

// PodNetworkAnnotation is written by the embedded engine's node on itself: whether
// its pods have a network of their own, or the machine's.
const (
	PodNetworkAnnotation = "devbox.dev/pod-network"
	PodNetworkOwn        = "own"
	PodNetworkMachine    = "machine"
)

// FormatPorts is the annotation's value.
func FormatPorts(ports map[string]int32) string {
	text, err := json.Marshal(ports)
	if err != nil {
		panic(err) // a map of strings to numbers
	}
	return string(text)
}

// ChosenPorts are the numbers of a pod's ports, by their names, that are not
// those in its spec. What cannot be read says nothing.
func ChosenPorts(annotations map[string]string) map[string]int32 {
	text, ok := annotations[PortsAnnotation]
	if !ok {
		return nil
	}
	var ports map[string]int32
	if err := json.Unmarshal([]byte(text), &ports); err != nil {
		return nil
	}
	return ports
}

// portInUse finds the port in what programs say that could not open it: Go's,
// and most others', word it like the kernel. What stands nearer to the words is
// the port; what stands before it may be the time.
var portInUse = regexp.MustCompile(`(?i)[^\n]*address already in use[^\n]*:(\d{1,5})\b|[^\n]*:(\d{1,5})\b[^\n]*address already in use`)

// PortInUse is the port that a program says, in its last words, that it could not
// open since somebody has it.
func PortInUse(words string) (port int32, ok bool) {
	found := portInUse.FindStringSubmatch(words)
	if found == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(found[1]+found[2], 10, 16)
	return int32(n), err == nil
}

// queuePorts are those that queue-proxy takes before any container of the pod
// starts.
var queuePorts = []int32{HTTPPort, H2CPort, QueueAdminPort, AutometricPort, UsermetricPort}

// QueueProxyHas says that a port is queue-proxy's, and what to do; "" where it is
// not.
func QueueProxyHas(port int32) string {
	if !slices.Contains(queuePorts, port) {
		return ""
	}
	return fmt.Sprintf("queue-proxy has port %d in every pod of a service, on every cluster; listen on another", port)
}

// ExplainPort says after a program's last words that the port which it could not
// open is queue-proxy's, where it is, and nobody has said yet whose it is.
func ExplainPort(words string) string {
	port, ok := PortInUse(words)
	if why := QueueProxyHas(port); ok && why != "" && !strings.Contains(words, fmt.Sprintf(" has port %d", port)) {
		return strings.TrimRight(words, "\n") + "\n" + why
	}
	return words
}
