package deploy

import (
	"context"
	"io"
	"net/http"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Headers that the activator answers to and with.
const (
	probeHeader    = "K-Network-Probe"
	revisionHeader = "Knative-Serving-Revision"
)

// The words of upstream's activator and queue-proxy for this probe, which do not
// say whose they are: where one of them answers, the gateway knows the host.
const (
	upstreamActivator = "activator"
	upstreamQueue     = "unexpected probe header value: "
)

// Answer is what a gateway says of a host.
type Answer struct {
	Revision string // that answers; "" where none does, or it is not said
	Upstream bool   // upstream's serving answers, which does not say for which revision
	Status   string // of HTTP
}

// Ask asks a gateway which revision answers for a host, by Knative's own probe,
// which no user's code sees.
func Ask(ctx context.Context, by *http.Client, gateway, host string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway, http.NoBody)
	if err != nil {
		return Answer{}, err
	}
	req.Host = host
	req.Header.Set(probeHeader, "activator")
	resp, err := by.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	answer := Answer{Status: resp.Status}
	if resp.StatusCode == http.StatusOK {
		answer.Revision = resp.Header.Get(revisionHeader)
	}
	if answer.Revision == "" {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 100)) // what is cut short is none of the words
		answer.Upstream = resp.StatusCode == http.StatusOK && string(said) == upstreamActivator ||
			resp.StatusCode == http.StatusBadRequest && strings.HasPrefix(string(said), upstreamQueue)
	}
	return answer, nil
}

// Settled says whether a Service is as its spec wants it by its own word, which
// upstream's Knative gives when it has asked every gateway.
func Settled(s *servingv1.Service) bool {
	return upToDate(s, s.Generation) && s.Status.IsTrue(servingv1.ConditionReady)
}
