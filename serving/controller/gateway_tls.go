package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/ingress"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// gatewayTLS leads the way between the gateway and activators into the mesh's
// mutual TLS and out of it, so that no request meets two that do not
// understand each other:
//
//	config-mesh asks for TLS | activators take both | the gateway uses TLS | its annotation says so,
//	                         | (they say so)        | (a probe says so)    | from which strict refuses the clear
//
// The way back is the same in the other direction.
type gatewayTLS struct {
	doorbell
	client  client.Client // writes without waiting for a cache
	cached  client.Reader
	gateway *gateway // nil where there is no ingress
	force   *inForce

	mu    sync.Mutex
	takes map[string]stream.Takes // by activator; the zero Takes of one that has not said
	since time.Time               // the gateway has been seen to do as it is told
}

// settled is how long the gateway must have been seen to do as it is told: it
// has several threads, which hear of it one after the other.
const settled = time.Second

// gatewayRetry is how often the gateway is asked.
const gatewayRetry = 100 * time.Millisecond

var errNoIstio = errors.New("needs Istio, which this box does not have: use a box with --engine kind for it")

// receive notes how an activator takes requests.
func (g *gatewayTLS) receive(source string, m stream.Message) {
	g.mu.Lock()
	before, known := g.takes[source]
	if !known || m.Takes != nil {
		if g.takes == nil {
			g.takes = map[string]stream.Takes{}
		}
		g.takes[source] = stream.Takes{}
		if m.Takes != nil {
			g.takes[source] = *m.Takes
		}
	}
	changed := g.takes[source] != before || !known
	g.mu.Unlock()
	if changed {
		g.ring(types.NamespacedName{Namespace: servingv1.Namespace, Name: mesh.ConfigName})
	}
}

// gone forgets an activator.
func (g *gatewayTLS) gone(source string) {
	g.mu.Lock()
	delete(g.takes, source)
	g.mu.Unlock()
	g.ring(types.NamespacedName{Namespace: servingv1.Namespace, Name: mesh.ConfigName})
}

// taken says whether every activator takes what the gateway is to send.
func (g *gatewayTLS) taken(within bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.takes {
		if within && !t.TLS || !within && !t.Clear {
			return false
		}
	}
	return len(g.takes) > 0
}

// wanted is whether config-mesh asks for TLS; its error says what is wrong with
// what it asks for.
func (g *gatewayTLS) wanted(config *corev1.ConfigMap) (bool, error) {
	mode, err := mesh.ParseMode(config.Data)
	if err == nil && mode != mesh.Off && g.gateway == nil {
		err = fmt.Errorf("mtls: %s %w", mode, errNoIstio)
	}
	return mode != mesh.Off, err
}

// lead makes the next step to what config-mesh asks for, and returns when to
// look again, if not only when an activator says something.
func (g *gatewayTLS) lead(ctx context.Context, config *corev1.ConfigMap) (time.Duration, error) {
	within, err := g.wanted(config)
	if err != nil || config.UID == "" || g.gateway == nil {
		return 0, err
	}
	if (config.Annotations[mesh.GatewayAnnotation] == mesh.GatewayTLS) == within {
		return 0, nil
	}
	if !g.taken(within) {
		g.since = time.Time{}
		return 0, nil // they say when they do
	}
	if err := g.tell(ctx, within); err != nil {
		return 0, err
	}
	if does, err := g.does(ctx, within); err != nil || !does {
		g.since = time.Time{}
		return gatewayRetry, nil // it will
	}
	if g.since.IsZero() {
		g.since = time.Now()
	}
	if left := settled - time.Since(g.since); left > 0 {
		return left, nil
	}
	g.since = time.Time{}
	return 0, g.note(ctx, config, within)
}

// tell has the gateway, and sidecars, speak to activators within TLS, or in
// the clear.
func (g *gatewayTLS) tell(ctx context.Context, within bool) error {
	for _, rule := range ingress.ActivatorRules(within) {
		body, err := applyBody(rule)
		if err != nil {
			return fmt.Errorf("encoding DestinationRule %s: %w", rule.Name, err)
		}
		if err := g.client.Patch(ctx, rule, client.RawPatch(types.ApplyPatchType, body), fieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("applying DestinationRule %s: %w", rule.Name, err)
		}
	}
	return nil
}

// does says whether what the gateway sends to an activator is within TLS, or
// is not. Where it sends nothing, as no route leads through it, it does as it
// is told.
func (g *gatewayTLS) does(ctx context.Context, within bool) (bool, error) {
	var routes servingv1.RouteList
	if err := g.cached.List(ctx, &routes, glance); err != nil {
		return false, fmt.Errorf("listing routes: %w", err)
	}
	for i := range routes.Items {
		hosting, err := hostingOf(ctx, g.cached, &routes.Items[i], g.force.naming())
		if err != nil {
			return false, err
		}
		hosts := desired.Hosts(&routes.Items[i], hosting)
		if len(hosts) == 0 || !g.gateway.led(routes.Items[i].UID, hosts) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		answer, err := g.gateway.ask(ctx, hosts[0])
		return err == nil && (answer.Get(sessionHeader) != "") == within, err
	}
	return true, nil
}

// note tells activators what the gateway does.
func (g *gatewayTLS) note(ctx context.Context, config *corev1.ConfigMap, within bool) error {
	value := "null"
	if within {
		value = `"` + mesh.GatewayTLS + `"`
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, mesh.GatewayAnnotation, value)
	if err := g.client.Patch(ctx, config.DeepCopy(), client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return fmt.Errorf("noting what the gateway does: %w", err)
	}
	return nil
}

// sessionHeader, in the activator's answer to a probe, names the client's
// certificate.
const sessionHeader = "Devbox-Session"
