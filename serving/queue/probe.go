package queue

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// Probe is the part of a Kubernetes probe that the sidecar can do on the
// container's behalf; its JSON form is Kubernetes' own. An exec probe stays
// with kubelet, and the zero Probe is a connection to the container's port.
type Probe struct {
	HTTPGet   *HTTPGet   `json:"httpGet"`
	TCPSocket *TCPSocket `json:"tcpSocket"`
	GRPC      *GRPC      `json:"grpc"`

	InitialDelaySeconds int `json:"initialDelaySeconds"`
	TimeoutSeconds      int `json:"timeoutSeconds"`
	PeriodSeconds       int `json:"periodSeconds"`
	SuccessThreshold    int `json:"successThreshold"`
	FailureThreshold    int `json:"failureThreshold"`
}

// HTTPGet is a request that must be answered with 2xx or 3xx.
type HTTPGet struct {
	Path        string `json:"path"`
	Port        port   `json:"port"`
	Host        string `json:"host"`
	Scheme      string `json:"scheme"`
	HTTPHeaders []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"httpHeaders"`
}

// TCPSocket is a connection that must be accepted.
type TCPSocket struct {
	Port port   `json:"port"`
	Host string `json:"host"`
}

// GRPC is a call of grpc.health.v1.Health/Check that must say SERVING.
type GRPC struct {
	Port    port    `json:"port"`
	Service *string `json:"service"`
}

// port is a number which Kubernetes may also write as a string.
type port int

// UnmarshalJSON takes 8080 and "8080".
func (p *port) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*p = port(n)
	return err
}

// Kubernetes' defaults for what a probe leaves out.
const (
	probeTimeout = time.Second
	probePeriod  = 10 * time.Second
	probeFails   = 3
)

func (p Probe) timeout() time.Duration { return secondsOr(p.TimeoutSeconds, probeTimeout) }
func (p Probe) period() time.Duration  { return secondsOr(p.PeriodSeconds, probePeriod) }
func (p Probe) successes() int         { return max(1, p.SuccessThreshold) }

func (p Probe) failures() int {
	if p.FailureThreshold > 0 {
		return p.FailureThreshold
	}
	return probeFails
}

func secondsOr(n int, otherwise time.Duration) time.Duration {
	if n > 0 {
		return time.Duration(n) * time.Second
	}
	return otherwise
}

// check is one try; nil means that the container is ready.
type check func(ctx context.Context) error

// checkFor returns what the probe does to a container at user.
func checkFor(p Probe, user string) (check, error) {
	host, userPort, err := net.SplitHostPort(user)
	if err != nil {
		return nil, fmt.Errorf("reading the user container's address: %w", err)
	}
	address := func(otherHost string, otherPort port) string {
		h, n := host, userPort
		if otherHost != "" {
			h = otherHost
		}
		if otherPort != 0 {
			n = strconv.Itoa(int(otherPort))
		}
		return net.JoinHostPort(h, n)
	}
	switch {
	case p.HTTPGet != nil:
		return p.HTTPGet.check(address(p.HTTPGet.Host, p.HTTPGet.Port))
	case p.GRPC != nil:
		return p.GRPC.check(address("", p.GRPC.Port)), nil
	case p.TCPSocket != nil:
		return checkTCP(address(p.TCPSocket.Host, p.TCPSocket.Port)), nil
	}
	return checkTCP(user), nil
}

func checkTCP(address string) check {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func (g HTTPGet) check(address string) (check, error) {
	target, err := url.Parse("/" + strings.TrimPrefix(g.Path, "/"))
	if err != nil {
		return nil, fmt.Errorf("reading the readiness probe's path: %w", err)
	}
	target.Scheme = strings.ToLower(g.Scheme)
	if target.Scheme == "" {
		target.Scheme = "http"
	}
	target.Host = address
	transport := proxy.NewTransport(proxy.TransportConfig{})
	transport.DisableKeepAlives = true // a probe asks whether a new connection is served
	// Kubernetes does not verify a probe's certificate either: it is the
	// pod's own, and made for the name its clients use.
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "kube-probe/queue-proxy")
		for _, h := range g.HTTPHeaders {
			if strings.EqualFold(h.Name, "Host") {
				req.Host = h.Value
				continue
			}
			req.Header.Add(h.Name, h.Value)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("GET %s: %s", target.RequestURI(), resp.Status)
		}
		return nil
	}, nil
}

// check calls the health service by hand: one frame out, one frame in. The
// two messages have one field each, which is not worth a gRPC library in
// every pod.
func (g GRPC) check(address string) check {
	service := ""
	if g.Service != nil {
		service = *g.Service
	}
	target := "http://" + address + "/grpc.health.v1.Health/Check"
	transport := proxy.NewTransport(proxy.TransportConfig{H2C: true})
	return func(ctx context.Context) error {
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(healthRequest(service)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		if err != nil {
			return err
		}
		return healthAnswer(resp, body)
	}
}

// healthRequest is a gRPC frame (not compressed, length in four bytes) with a
// HealthCheckRequest: field 1, a string.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service)))
		message = append(message, service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(frame, message...)
}

// healthAnswer reads a HealthCheckResponse: field 1, an enumeration in which
// 1 is SERVING.
func healthAnswer(resp *http.Response, body []byte) error {
	status := resp.Trailer.Get("Grpc-Status")
	if status == "" {
		status = resp.Header.Get("Grpc-Status") // an answer without a body has no trailers of its own
	}
	if resp.StatusCode != http.StatusOK || status != "0" {
		message := resp.Trailer.Get("Grpc-Message") + resp.Header.Get("Grpc-Message")
		return fmt.Errorf("health check: HTTP %d, gRPC status %q %s", resp.StatusCode, status, message)
	}
	const frameHead = 5
	if len(body) < frameHead || !bytes.Equal(body[frameHead:], []byte{1 << 3, 1}) {
		return errors.New("health check: not SERVING")
	}
	return nil
}
