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
	"github.com/kind-in-a-box/devbox/serving/queue"
)

// The ConfigMaps that tune the box.
const (
	autoscalerConfig    = "config-autoscaler"
	observabilityConfig = "config-observability"
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

// requestLogs is what config-observability asks of pods that are made. They
// read it when they are: a controller that starts makes no pod before it has
// seen the ConfigMap.
type requestLogs struct {
	last atomic.Pointer[queue.RequestLog] // that was right
}

// take returns what data asks for. Where data is wrong, that is what it last
// asked for when it was right.
func (l *requestLogs) take(data map[string]string) (queue.RequestLog, error) {
	log, err := queue.ParseRequestLog(data)
	return takeRight(&l.last, log, err)
}

// metricNames is what config-observability asks of metrics: the controller
// has them at once, a pod as they were when it was made.
type metricNames struct {
	last atomic.Pointer[queue.OTelNames] // that was right
}

// take is as that of requestLogs.
func (n *metricNames) take(data map[string]string) (queue.OTelNames, error) {
	names, err := queue.ParseOTelNames(data)
	return takeRight(&n.last, names, err)
}

// otel says whether the controller's metrics have upstream's newer names too.
func (n *metricNames) otel() bool {
	names := n.last.Load()
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
	client client.Client
	events events.EventRecorder
	scaler *scaler
	logs   *requestLogs
	names  *metricNames
}

func (t *tuning) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).Named("tuning").For(&corev1.ConfigMap{}).Complete(reconcile.Func(t.Reconcile))
}

// Reconcile implements reconcile.Reconciler. A ConfigMap that is wrong leaves
// things as they are; one that is gone means the defaults.
func (t *tuning) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	cm, err := setting(ctx, t.client, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	switch req.Name {
	case autoscalerConfig:
		if err = t.scaler.tune(cm.Data); err == nil {
			return reconcile.Result{}, t.rescale(ctx)
		}
	case observabilityConfig:
		_, notLogs := t.logs.take(cm.Data)
		_, notNames := t.names.take(cm.Data)
		err = errors.Join(notLogs, notNames)
	}
	if err != nil {
		t.events.Eventf(cm, nil, corev1.EventTypeWarning, reasonInvalid, "Tune", "What was there before still holds: %v", err)
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("reading %s: %w", req.Name, err))
	}
	return reconcile.Result{}, nil
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
