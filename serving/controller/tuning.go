package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/queue"
	"github.com/kind-in-a-box/devbox/serving/settings"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// The ConfigMaps that tune the box.
const (
	autoscalerConfig    = "config-autoscaler"
	observabilityConfig = trace.ObservabilityConfig
	tracingConfig       = trace.TracingConfig
)

// reasonInvalid is the reason of the event that says that one of them is wrong.
const reasonInvalid = "InvalidConfiguration"

// setting reads one of the box's ConfigMaps. One that is gone is empty.
func setting(ctx context.Context, c client.Reader, name string) (*corev1.ConfigMap, error) {
	var cm corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: servingv1.Namespace, Name: name}, &cm, glance)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return &cm, nil
}

// observability is what config-observability and config-tracing ask for: the
// controller has the names of its metrics at once, a pod has all of it as it
// was when it was made. A controller that starts makes no pod before it has
// seen the ConfigMaps. Where one is wrong, what it last asked for when it was
// right still holds.
type observability struct {
	log    atomic.Pointer[queue.RequestLog]
	names  atomic.Pointer[settings.OTelNames]
	traces trace.Choice
}

// logs returns the request log that data asks for.
func (o *observability) logs(data map[string]string) (queue.RequestLog, error) {
	log, err := queue.ParseRequestLog(data)
	return takeRight(&o.log, log, err)
}

// metricNames returns the names of metrics that data asks for.
func (o *observability) metricNames(data map[string]string) (settings.OTelNames, error) {
	names, err := settings.ParseOTelNames(data)
	return takeRight(&o.names, names, err)
}

// otel says whether the controller's metrics have upstream's newer names too.
func (o *observability) otel() bool {
	names := o.names.Load()
	return names != nil && names.Parts
}

// takeRight returns what was read, or the last that was right.
func takeRight[T any](last *atomic.Pointer[T], read T, err error) (T, error) {
	if err == nil {
		last.Store(&read)
	} else if before := last.Load(); before != nil {
		read = *before
	}
	return read, err
}

// tuning hands the box's ConfigMaps to who acts on them, whenever they change.
type tuning struct {
	client  client.Client
	events  events.EventRecorder
	scaler  *scaler
	look    *observability
	mesh    *gatewayTLS
	force   *inForce
	routes  *doorbell
	standby *doorbell
}

func (t *tuning) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).Named("tuning").For(&corev1.ConfigMap{}).
		WatchesRawSource(&t.mesh.doorbell).
		Complete(reconcile.Func(t.Reconcile))
}

// Reconcile implements reconcile.Reconciler. A ConfigMap that is wrong leaves
// things as they are, and so does one that is gone: the event names it, and the
// key.
func (t *tuning) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	cm, err := setting(ctx, t.client, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if _, taken := t.force.last(req.Name); taken && cm.UID == "" {
		cm.Namespace, cm.Name = servingv1.Namespace, req.Name
		return reconcile.Result{}, t.refuse(cm, errors.New("it is gone: make it again"))
	}
	if err := config.Check(cm); err != nil {
		return reconcile.Result{}, t.refuse(cm, err)
	}
	if cm.UID != "" {
		if err := t.force.take(req.Name, cm.Data); err != nil {
			return reconcile.Result{}, t.refuse(cm, err)
		}
	}
	again, err := t.act(ctx, req.Name, cm)
	return again, errors.Join(err, t.note(ctx, err, cm))
}

// note writes down what has been taken without a mistake.
func (t *tuning) note(ctx context.Context, mistake error, cm *corev1.ConfigMap) error {
	if mistake != nil || cm.UID == "" {
		return nil
	}
	return publish(ctx, t.client, cm)
}

// act hands what a ConfigMap says to who acts on it.
func (t *tuning) act(ctx context.Context, name string, cm *corev1.ConfigMap) (reconcile.Result, error) {
	var err error
	switch name {
	case config.Domain, config.Network:
		return reconcile.Result{}, t.rename(ctx)
	case config.Devbox:
		t.standby.ring(everything)
	case mesh.ConfigName:
		if _, err = t.mesh.wanted(cm); err == nil {
			again, err := t.mesh.lead(ctx, cm)
			return reconcile.Result{RequeueAfter: again}, err // what the server refused it may take the next time
		}
	case autoscalerConfig:
		if err = t.scaler.tune(cm.Data); err == nil {
			return reconcile.Result{}, t.rescale(ctx)
		}
	case observabilityConfig:
		_, notLogs := t.look.logs(cm.Data)
		_, notNames := t.look.metricNames(cm.Data)
		err = errors.Join(notLogs, notNames, t.look.traces.Take(name, cm.Data))
	case tracingConfig:
		err = t.look.traces.Take(name, cm.Data)
	}
	if err != nil {
		return reconcile.Result{}, t.refuse(cm, err)
	}
	return reconcile.Result{}, nil
}

// refuse tells what is wrong with a ConfigMap.
func (t *tuning) refuse(cm *corev1.ConfigMap, err error) error {
	t.events.Eventf(cm, nil, corev1.EventTypeWarning, reasonInvalid, "Tune", "What %s said before still holds: %v", cm.Name, err)
	return reconcile.TerminalError(fmt.Errorf("reading %s: %w", cm.Name, err))
}

// rename has every route looked at again, whose hosts may be others now.
func (t *tuning) rename(ctx context.Context) error {
	var list servingv1.RouteList
	if err := t.client.List(ctx, &list, glance); err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}
	for i := range list.Items {
		t.routes.ring(client.ObjectKeyFromObject(&list.Items[i]))
	}
	return nil
}

// rescale has the autoscaler asked again about every revision.
func (t *tuning) rescale(ctx context.Context) error {
	var list servingv1.RevisionList
	if err := t.client.List(ctx, &list, glance); err != nil {
		return fmt.Errorf("listing revisions: %w", err)
	}
	for i := range list.Items {
		t.scaler.ring(client.ObjectKeyFromObject(&list.Items[i]))
	}
	return nil
}
