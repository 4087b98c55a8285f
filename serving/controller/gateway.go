package controller

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
)

const (
	probeHeader    = "K-Network-Probe"
	probeActivator = "activator"
	probeTimeout   = 250 * time.Millisecond
)

// gateway asks the ingress gateway whether it leads a route's hosts to the
// activator yet. An answer holds until the hosts change.
type gateway struct {
	url    string
	client *http.Client
	open   *lru.Cache // by route UID: digest of the hosts that answered
}

func newGateway(url string) *gateway {
	return &gateway{
		url:    url,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second, DisableCompression: true}},
		open:   lru.New(4096),
	}
}

// led says whether every one of these hosts of the route has been seen to
// reach the activator.
func (g *gateway) led(route types.UID, hosts []string) bool {
	seen, ok := g.open.Get(route)
	return ok && seen == digestOf(hosts)
}

// leads asks the gateway for every host of the route and returns nil if all
// reach the activator. It takes no longer than one short probe.
func (g *gateway) leads(ctx context.Context, route types.UID, hosts []string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	probes, ctx := errgroup.WithContext(ctx)
	for _, host := range hosts {
		probes.Go(func() error { return g.probe(ctx, host) })
	}
	if err := probes.Wait(); err != nil {
		return err
	}
	g.open.Add(route, digestOf(hosts))
	return nil
}

func (g *gateway) probe(ctx context.Context, host string) error {
	_, err := g.ask(ctx, host)
	return err
}

// ask has the activator answer a probe through the gateway.
func (g *gateway) ask(ctx context.Context, host string) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		return nil, fmt.Errorf("probing the gateway: %w", err)
	}
	req.Host = host
	req.Header.Set(probeHeader, probeActivator)
	req.Header.Set("User-Agent", "Knative-Ingress-Probe")
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("probing the gateway for %s: %w", host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err != nil {
		return nil, fmt.Errorf("probing the gateway for %s: %w", host, err)
	}
	if resp.StatusCode != http.StatusOK || string(body) != probeActivator {
		return nil, fmt.Errorf("probing the gateway for %s: %s", host, resp.Status)
	}
	return resp.Header, nil
}

func digestOf(hosts []string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(hosts, "\n")))
}
