package activator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// probeTimeout bounds one probe. Queue-proxy holds one for up to 200 ms when
// the container is not up yet, so that its yes comes without delay.
const probeTimeout = 300 * time.Millisecond

// prober asks pods whether they answer. It does not wait for kubelet to have
// asked them, and for the API server to have told us: the pod's address is
// all it needs.
type prober struct {
	transport http.RoundTripper // the one of requests: a probe's connection carries the first one
	log       *slog.Logger
}

// run watches over one pod until ctx ends, which is when the pod is gone: it
// asks until the pod answers, and again whenever the pod is doubted.
func (p *prober) run(ctx context.Context, pod *pod) {
	for p.untilAnswers(ctx, pod) {
		pod.revision.opened(pod)
		select {
		case <-pod.doubts:
		case <-ctx.Done():
			return
		}
		// A pod that says yes to probes and no to requests must not make the
		// two chase each other.
		if !proxy.Sleep(ctx, proxy.ProbeAfter(0)) {
			return
		}
	}
}

// untilAnswers returns true when the pod has answered, false when ctx ended.
func (p *prober) untilAnswers(ctx context.Context, pod *pod) bool {
	began := time.Now()
	for {
		why := p.ask(ctx, pod)
		waited := time.Since(began)
		if ctx.Err() != nil {
			return false
		}
		if why == nil {
			p.log.Debug("a pod answers", "namespace", pod.revision.key.Namespace, "pod", pod.name, "after", waited)
			return true
		}
		pod.revision.refuses(pod, refusal(why))
		p.log.Log(ctx, slog.LevelDebug-4, "a pod does not answer yet", "pod", pod.name, "error", why)
		if !proxy.Sleep(ctx, proxy.ProbeAfter(waited)) {
			return false
		}
	}
}

// errDenied is Envoy's word: queue-proxy has no such answer to a probe.
var errDenied = errors.New("the pod's sidecar denies the activator")

// refusal is how a pod's sidecar has refused a probe that failed, if it was the
// sidecar.
func refusal(why error) stream.Refusal {
	var answer tls.RecordHeaderError
	switch {
	case errors.As(why, &answer): // in the clear
		return stream.RefusesTLS
	case errors.Is(why, errDenied):
		return stream.RefusesPeer
	}
	return ""
}

// ask is one probe; nil means that the pod takes requests.
func (p *prober) ask(ctx context.Context, pod *pod) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(toPod(ctx, pod), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { pod.revision.connected(pod) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pod.address+"/", nil)
	if err != nil {
		return fmt.Errorf("making a probe: %w", err)
	}
	req.Header[proxy.NetworkProbe] = []string{proxy.Queue}
	req.Header["User-Agent"] = []string{"Knative-Activator-Probe"}
	if !pod.revision.proven() {
		req.Header[proxy.Prove] = []string{"true"} // traffic moves to it when it answers
	}
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("probing: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // read to its end, so that the connection is kept
	if err != nil {
		return fmt.Errorf("reading a probe's answer: %w", err)
	}
	if resp.StatusCode == http.StatusForbidden && pod.account != "" {
		return fmt.Errorf("%w: %s", errDenied, body)
	}
	if resp.StatusCode != http.StatusOK || string(body) != proxy.Queue {
		return fmt.Errorf("probing: %s: %s", resp.Status, body)
	}
	return nil
}
