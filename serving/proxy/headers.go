package proxy

import (
	"net"
	"net/http"
	"strings"
)

// Headers of the request road, by Knative's names. Their spelling is the
// canonical one of net/http.
const (
	// NetworkProbe asks the component it names to answer by itself.
	NetworkProbe = "K-Network-Probe"
	// Revision and Namespace say for which revision the activator sends a
	// request; in an answer to a probe, which revision takes the host's traffic; and
	// Revision, in an answer to whoever asked, which revision gave it.
	Revision  = "Knative-Serving-Revision"
	Namespace = "Knative-Serving-Namespace"
	// ProxyRequest names the proxy that forwards a request.
	ProxyRequest = "K-Proxy-Request"
	// OriginalHost and NetworkHash are Knative's and mean nothing here; they
	// are kept from user containers because Knative keeps them.
	OriginalHost = "K-Original-Host"
	NetworkHash  = "K-Network-Hash"
	// RouteTag and DefaultRoute, where the box lets a header choose a tag: which one
	// a request is for, and that it is for none.
	RouteTag     = "Knative-Serving-Tag"
	DefaultRoute = "Knative-Serving-Default-Route"
)

// Headers of our own.
const (
	// Refused is queue-proxy's word to the activator that the user container
	// did not accept a connection, so that it has seen nothing of the request.
	Refused = "Devbox-Refused"
	// SessionPeer, in an answer to a probe, is the name in the certificate that
	// the prober's last proxy has shown; there is none in the clear.
	SessionPeer = "Devbox-Session"
	// Prove, in a probe, asks queue-proxy to ask the container once more than it
	// has: some programs listen and end in the same moment.
	Prove = "Devbox-Prove"
	// Timing, in a request, asks for a Server-Timing header in the answer.
	Timing = "Devbox-Timing"
	// AskRevision, in a request, asks for a Revision header in the answer: which
	// revision's it is. Nobody gets one unasked, for answers are the program's.
	AskRevision = "Devbox-Revision"
)

// ClientCert is Envoy's header of the certificates that a request's clients
// have shown: an element for each proxy that ended a TLS session, the last
// one's last. Its fields are By, the proxy's own name, and URI, its client's.
const ClientCert = "X-Forwarded-Client-Cert"

// ClientGone is the status of a request whose client has gone before there was
// an answer: nginx' number for it, which has no name in HTTP. Only metrics,
// spans and the request log see it.
const ClientGone = 499

// Values of NetworkProbe and ProxyRequest.
const (
	Activator = "activator"
	Queue     = "queue"
)

// internal are the headers that only the proxies themselves may set.
var internal = [...]string{NetworkProbe, Revision, Namespace, ProxyRequest, OriginalHost, NetworkHash, Refused}

// StripInternal removes the headers that nobody outside may set and no user
// container sees.
func StripInternal(h http.Header) {
	for _, name := range internal {
		delete(h, name)
	}
}

// forwarding are the headers that tell of earlier proxies. ReverseProxy drops
// them, because in general a client is not to be trusted with them.
var forwarding = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// KeepForwarded gives out what in says about earlier proxies. The hop before
// us is one of our own (the gateway, or the activator), so its word stands.
func KeepForwarded(in, out http.Header) {
	for _, name := range forwarding {
		if v, ok := in[name]; ok {
			out[name] = v
		}
	}
}

// protoHTTP is a header's value, which nobody changes.
var protoHTTP = []string{"http"}

// BeginForwarded makes r.Out begin the forwarding headers where no proxy
// before us did: the client is whoever sent the request to us.
func BeginForwarded(in *http.Request, out http.Header) {
	if out["X-Forwarded-For"] == nil {
		if ip, _, err := net.SplitHostPort(in.RemoteAddr); err == nil {
			out["X-Forwarded-For"] = []string{ip}
		}
	}
	if out["X-Forwarded-Proto"] == nil {
		out["X-Forwarded-Proto"] = protoHTTP
	}
}

// AddForwarded adds the standard Forwarded header, made of the X-Forwarded
// ones, where a request has none. The first element names the client with the
// host and protocol it asked for, the others the proxies after it.
func AddForwarded(h http.Header) {
	if strings.TrimSpace(h.Get("Forwarded")) != "" {
		return
	}
	var first []string
	nodes := strings.Split(h.Get("X-Forwarded-For"), ",")
	if node := forwardedNode(nodes[0]); node != "" {
		first = append(first, "for="+node)
	}
	if host := strings.TrimSpace(h.Get("X-Forwarded-Host")); host != "" {
		first = append(first, "host="+host)
	}
	if proto := strings.TrimSpace(h.Get("X-Forwarded-Proto")); proto != "" {
		first = append(first, "proto="+proto)
	}
	var elements []string
	if len(first) > 0 {
		elements = append(elements, strings.Join(first, ";"))
	}
	for _, node := range nodes[1:] {
		if node = forwardedNode(node); node != "" {
			elements = append(elements, "for="+node)
		}
	}
	if len(elements) > 0 {
		h["Forwarded"] = []string{strings.Join(elements, ", ")}
	}
}

// forwardedNode writes an address the way Forwarded wants it: an IPv6 address
// in brackets and quotes.
func forwardedNode(address string) string {
	address = strings.TrimSpace(address)
	if strings.Contains(address, ":") {
		return `"[` + address + `]"`
	}
	return address
}
