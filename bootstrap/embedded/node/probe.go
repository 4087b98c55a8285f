package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// prober asks containers how they are, as a kubelet does.
type prober struct {
	dial      dial
	transport *http.Transport
	grpc      grpcprobe.Prober
}

// dial connects to an address, which may be a pod's.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// newProber asks pods in their own networks, where they have any.
func newProber(pods *network.Network) prober {
	dial := (&net.Dialer{}).DialContext
	if pods != nil {
		dial = pods.Dial
	}
	return prober{dial, &http.Transport{
		DialContext:        dial,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as a kubelet: it asks for life, not for who it is
		DisableKeepAlives:  true,
		DisableCompression: true,
	}, grpcprobe.New()}
}

// askHTTP asks as a kubelet does, which follows no redirect to another host.
func (r prober) askHTTP(request *http.Request, timeout time.Duration) (probe.Result, string, error) {
	const followNonLocalRedirects = false
	client := &http.Client{Transport: r.transport, Timeout: timeout, CheckRedirect: httpprobe.RedirectChecker(followNonLocalRedirects)}
	return httpprobe.DoHTTPProbe(request, client)
}

// askTCP asks for a connection, and for no more.
func (r prober) askTCP(ctx context.Context, host string, port int, timeout time.Duration) (probe.Result, string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	connection, err := r.dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return probe.Failure, err.Error(), nil
	}
	_ = connection.Close()
	return probe.Success, "", nil
}

// askGRPC asks through a door of the machine's, since the kubelet's prober
// knows no other way to a port.
func (r prober) askGRPC(ctx context.Context, host, service string, port int, timeout time.Duration) (probe.Result, string, error) {
	door, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(hostIP, "0"))
	if err != nil {
		return probe.Unknown, "", err
	}
	var through sync.WaitGroup
	defer through.Wait()
	defer door.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	through.Go(func() {
		here, err := door.Accept()
		if err != nil {
			return
		}
		there, err := r.dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			_ = here.Close()
			return
		}
		network.Join(ctx, here, there)
	})
	at, _ := door.Addr().(*net.TCPAddr)
	return r.grpc.Probe(hostIP, service, at.Port, timeout, grpcprobe.ProbeOptions{})
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
		result, words, err = r.askHTTP(request.WithContext(ctx), timeout)
	case p.TCPSocket != nil:
		host := address
		if p.TCPSocket.Host != "" {
			host = p.TCPSocket.Host
		}
		port, portErr := probe.ResolveContainerPort(p.TCPSocket.Port, c)
		if portErr != nil {
			return false, portErr.Error()
		}
		result, words, err = r.askTCP(ctx, host, port, timeout)
	case p.GRPC != nil:
		service := ""
		if p.GRPC.Service != nil {
			service = *p.GRPC.Service
		}
		result, words, err = r.askGRPC(ctx, address, service, int(p.GRPC.Port), timeout)
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
