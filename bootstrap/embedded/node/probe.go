package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// prober asks containers how they are, as a kubelet does.
type prober struct {
	http httpprobe.Prober
	tcp  tcpprobe.Prober
	grpc grpcprobe.Prober
}

func newProber() prober {
	const followNonLocalRedirects = false
	return prober{httpprobe.New(followNonLocalRedirects), tcpprobe.New(), grpcprobe.New()}
}

// ask returns whether p succeeds for c at address, and if not, why.
func (r prober) ask(ctx context.Context, c *corev1.Container, p *corev1.Probe, address string) (ok bool, why string) {
	timeout := time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
	var (
		result probe.Result
		words  string
		err    error
	)
	switch {
	case p.HTTPGet != nil:
		request, reqErr := httpprobe.NewRequestForHTTPGetAction(p.HTTPGet, c, address, "probe")
		if reqErr != nil {
			return false, reqErr.Error()
		}
		result, words, err = r.http.Probe(request.WithContext(ctx), timeout)
	case p.TCPSocket != nil:
		host := address
		if p.TCPSocket.Host != "" {
			host = p.TCPSocket.Host
		}
		port, portErr := probe.ResolveContainerPort(p.TCPSocket.Port, c)
		if portErr != nil {
			return false, portErr.Error()
		}
		result, words, err = r.tcp.Probe(host, port, timeout)
	case p.GRPC != nil:
		service := ""
		if p.GRPC.Service != nil {
			service = *p.GRPC.Service
		}
		result, words, err = r.grpc.Probe(address, service, int(p.GRPC.Port), timeout, grpcprobe.ProbeOptions{})
	default:
		return true, ""
	}
	if err != nil {
		return false, err.Error()
	}
	return result == probe.Success || result == probe.Warning, words
}

// A container that has just started is asked often, so that it is ready as
// soon as it can be and not a period later.
const (
	firstAsk = 10 * time.Millisecond
	lastAsk  = 250 * time.Millisecond
)

// series asks p for ctx's time.
type series struct {
	probe *corev1.Probe
	eager bool          // ask often until it succeeds once
	delay time.Duration // before the first time, at least
	ask   func(context.Context) (ok bool, why string)
	// fails is told of each failure that counts.
	fails func(why string)
	// turns is told when p has succeeded or failed as often as its thresholds
	// say, and returns whether to go on.
	turns func(ok bool) bool
}

func (s series) period() time.Duration {
	return time.Duration(max(s.probe.PeriodSeconds, 1)) * time.Second
}

// run asks until ctx ends or turns says that it is enough. While it is eager,
// only what fails a whole period after the last counts as a failure.
func (s series) run(ctx context.Context) {
	if !proxy.Sleep(ctx, max(s.delay, time.Duration(s.probe.InitialDelaySeconds)*time.Second)) {
		return
	}
	period := s.period()
	due, often := time.Now(), newPause(firstAsk, lastAsk)
	if s.eager {
		due = due.Add(period)
	}
	var successes, failures int32
	for {
		ok, why := s.ask(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case ok:
			s.eager = false
			successes, failures = successes+1, 0
			if successes >= max(s.probe.SuccessThreshold, 1) && !s.turns(true) {
				return
			}
		case !s.eager || !now.Before(due):
			successes, failures = 0, failures+1
			s.fails(why)
			if failures >= max(s.probe.FailureThreshold, 1) && !s.turns(false) {
				return
			}
		}
		if !s.eager || !now.Before(due) {
			due = now.Add(period)
		}
		next := time.Until(due)
		if s.eager {
			next = min(next, often.take())
		}
		if !proxy.Sleep(ctx, next) {
			return
		}
	}
}

// unhealthy is the event of a probe that has failed.
func unhealthy(kind, why string) string { return fmt.Sprintf("%s probe failed: %s", kind, why) }
