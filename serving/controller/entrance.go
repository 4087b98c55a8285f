package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/ingress"
)

// entrances leads hosts from the gateway to the activator: those of Routes and
// of DomainMappings.
type entrances struct {
	*applier
	gateway *gateway // nil where there is no ingress
}

// entrance is what one object has at the gateway.
type entrance struct {
	of      client.Object // whose hosts they are
	status  entranceStatus
	hosts   []string
	object  client.Object // tells the gateway of them
	answers bool          // the activator has something to lead to
	publish func() error  // writes the status
}

// entranceStatus is the part of a status that tells of the gateway.
type entranceStatus interface {
	Condition(t servingv1.ConditionType) *servingv1.Condition
	MarkIngressReady()
	MarkIngressNotConfigured()
	MarkIngressNotReady(reason, message string)
	MarkIngressFailed(reason, message string)
}

// open leads hosts from the gateway to the activator, and returns when to ask
// the gateway again whether it does. Before it asks, the activator must know
// the hosts: it has them from the status, which is written first.
func (e *entrances) open(ctx context.Context, to entrance) (time.Duration, error) {
	if e.gateway == nil || len(to.hosts) == 0 {
		to.status.MarkIngressReady()
		return 0, e.withdraw(ctx, to)
	}
	if _, err := apply(ctx, e.applier, to.object); err != nil {
		if errors.Is(err, errNotOwned) {
			to.status.MarkIngressFailed(servingv1.ReasonNotOwned, err.Error())
		}
		return 0, err
	}
	switch {
	case e.gateway.led(to.of.GetUID(), to.hosts):
		to.status.MarkIngressReady()
		return 0, nil
	case !to.answers:
		to.status.MarkIngressNotConfigured()
		return 0, nil
	}
	if err := to.publish(); err != nil {
		return 0, err
	}
	if err := e.gateway.leads(ctx, to.of.GetUID(), to.hosts); err != nil {
		return e.notLed(ctx, to, err)
	}
	to.status.MarkIngressReady()
	return 0, nil
}

// notLed says why the gateway does not lead here yet. After a while another's
// object may be why.
func (e *entrances) notLed(ctx context.Context, to entrance, why error) (time.Duration, error) {
	text := "Waiting for the gateway: " + why.Error()
	to.status.MarkIngressNotReady("Uninitialized", text)
	since, now := to.status.Condition(servingv1.RouteIngressReady).LastTransitionTime.Time, time.Now()
	if now.Sub(since) < suspicious {
		return askAgain(since, now), nil
	}
	rivals, err := e.rivals(ctx, to)
	if err == nil && rivals != "" {
		to.status.MarkIngressNotReady("HostTaken", text+". Its host is claimed by "+rivals+" too.")
	}
	return askAgain(since, now), err
}

// suspicious is how long the gateway takes at most where nothing is wrong.
const suspicious = 3 * time.Second

// askAgain is how long to wait before the gateway is asked again: hardly at
// all at first, for it takes Istio some ten milliseconds, and longer the
// longer it has not answered.
func askAgain(since, now time.Time) time.Duration {
	return min(max(now.Sub(since)/20, 10*time.Millisecond), 5*time.Second)
}

// rivals names the VirtualServices of others that claim one of the hosts: what
// the gateway does with such a host is theirs to say too.
func (e *entrances) rivals(ctx context.Context, to entrance) (string, error) {
	list := ingress.KindList()
	if err := e.live.List(ctx, list); err != nil {
		return "", fmt.Errorf("listing VirtualServices: %w", err)
	}
	var names []string
	for _, claim := range ingress.Claims(list) {
		if claim.Owner != to.of.GetUID() && slices.ContainsFunc(claim.Hosts, func(h string) bool { return slices.Contains(to.hosts, h) }) {
			names = append(names, "VirtualService "+claim.Namespace+"/"+claim.Name)
		}
	}
	return strings.Join(names, ", "), nil
}

// withdraw takes away what the gateway was told of an object that is to have
// nothing there.
func (e *entrances) withdraw(ctx context.Context, from entrance) error {
	if e.gateway == nil {
		return nil
	}
	gone := from.object
	current, err := e.current(ctx, child{gone.GetObjectKind().GroupVersionKind(), client.ObjectKeyFromObject(gone)})
	if err != nil || current == nil || !metav1.IsControlledBy(current, from.of) {
		return err
	}
	if err := e.client.Delete(ctx, gone); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the ingress: %w", err)
	}
	e.gateway.open.Remove(from.of.GetUID())
	return nil
}
