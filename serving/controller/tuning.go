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

// observability is what config-observability and config-tracing ask of pods
// that are made. They read it when they are: a controller that starts makes no
// pod before it has seen the ConfigMaps.
type observability struct {
	log    atomic.Pointer[queue.RequestLog] // the last that was right
	traces trace.Choice
}

// logs returns the request log that data asks for. Where data is wrong, that
// is what it last asked for when it was right.
func (o *observability) logs(data map[string]string) (queue.RequestLog, error) {
	log, err := queue.ParseRequestLog(data)
	if err == nil {
		o.log.Store(&log)
	} else if last := o.log.Load(); last != nil {
		log = *last
	}
	return log, err
}

// tuning hands the box's ConfigMaps to who acts on them, whenever they change.
type tuning struct {
	client client.Client
	events events.EventRecorder
	scaler *scaler
	look   *observability
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
		_, err = t.look.logs(cm.Data)
		err = errors.Join(err, t.look.traces.Take(req.Name, cm.Data))
	case tracingConfig:
		err = t.look.traces.Take(req.Name, cm.Data)
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
