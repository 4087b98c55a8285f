package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Headers of a request whose way is to be told.
const (
	// Trace, in a request, asks every hop to tell of itself in the answer.
	Trace = "Devbox-Trace"
	// HopReport, in an answer, is one hop's word, as a Hop in JSON. The hop
	// next to the container comes first.
	HopReport = "Devbox-Hop"
)

// Hop is what one proxy saw of a request that passed it. Only what was seen is
// in it: an empty field is one that is not known.
type Hop struct {
	Name     string `json:"name"`               // activator or queue-proxy
	Pod      string `json:"pod,omitempty"`      // in which it runs
	Revision string `json:"revision,omitempty"` // for which the request is

	Peer   string `json:"peer,omitempty"`   // the address that the request came from
	Listen string `json:"listen,omitempty"` // the address that it came to
	From   string `json:"from,omitempty"`   // the address that it was sent from
	To     string `json:"to,omitempty"`     // the address that it was sent to

	Inbound  *Tunnel `json:"inbound,omitempty"`  // the TLS session that it came in
	Outbound *Tunnel `json:"outbound,omitempty"` // the TLS session that it was sent in

	Protocol     string `json:"protocol,omitempty"`     // in which it came, as in HTTP/1.1
	ProtocolSent string `json:"protocolSent,omitempty"` // in which it was sent on

	Received []string `json:"received,omitempty"` // names of the headers that it came with, sorted
	Sent     []string `json:"sent,omitempty"`     // names of the headers that it was sent with, sorted

	Waited    time.Duration `json:"waited"`    // for a pod, or for its turn, in nanoseconds
	FirstByte time.Duration `json:"firstByte"` // from when it came to the response's first byte, in nanoseconds
}

// Add puts the hop into the headers of an answer.
func (h Hop) Add(to http.Header) error {
	report, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("telling of a hop: %w", err)
	}
	to.Add(HopReport, string(report))
	return nil
}

// Hops reads the reports in an answer's headers, in the order in which the
// request passed. What is no report is left out: a container may say anything.
func Hops(from http.Header) []Hop {
	said := from.Values(HopReport)
	hops := make([]Hop, 0, len(said))
	for i := len(said) - 1; i >= 0; i-- {
		var h Hop
		if json.Unmarshal([]byte(said[i]), &h) == nil && h.Name != "" {
			hops = append(hops, h)
		}
	}
	return hops
}
