package controller

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/autoscaler"
)

// WriteMetrics writes the controller's numbers in Prometheus' text format:
// those of controller-runtime and those of every revision. docs/metrics.md
// says what each means.
func (c *Controller) WriteMetrics(w io.Writer) {
	families, err := prometheus.Gatherers{metrics.Registry, c.numbers}.Gather()
	if err != nil {
		c.log.Warn("some metrics are left out", "error", err) // the others are right
	}
	encoder := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if encoder.Encode(family) != nil {
			return // the reader has gone
		}
	}
}

// newNumbers is a registry of what c knows of revisions.
func newNumbers(c client.Reader, loop *autoscaler.Loop, answers *answers) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&revisionNumbers{c, loop, answers})
	return registry
}

// revisionNumbers are the numbers of revisions. They are made of what there is
// when somebody asks, and kept nowhere: a revision that is gone has none.
type revisionNumbers struct {
	cache   client.Reader
	loop    *autoscaler.Loop
	answers *answers
}

// gauges are the numbers of one revision, by what makes them.
var gauges = struct {
	desired, requested, actual, notReady, pending, terminating,
	stableConcurrency, panicConcurrency, targetConcurrency,
	stableRPS, panicRPS, targetRPS, excessBurst, panicking *prometheus.Desc
}{
	desired:           gauge("autoscaler_desired_pods", "Pods that the autoscaler wants."),
	requested:         gauge("autoscaler_requested_pods", "Pods that there are, ready or not, and that are not to end."),
	actual:            gauge("autoscaler_actual_pods", "Pods that answer."),
	notReady:          gauge("autoscaler_not_ready_pods", "Pods that run and do not answer."),
	pending:           gauge("autoscaler_pending_pods", "Pods that do not run yet."),
	terminating:       gauge("autoscaler_terminating_pods", "Pods that are about to end."),
	stableConcurrency: gauge("autoscaler_stable_request_concurrency", "Average of requests in flight over the stable window."),
	panicConcurrency:  gauge("autoscaler_panic_request_concurrency", "Average of requests in flight over the panic window."),
	targetConcurrency: gauge("autoscaler_target_concurrency_per_pod", "Requests in flight that each pod is meant to have."),
	stableRPS:         gauge("autoscaler_stable_requests_per_second", "Average of requests a second over the stable window."),
	panicRPS:          gauge("autoscaler_panic_requests_per_second", "Average of requests a second over the panic window."),
	targetRPS:         gauge("autoscaler_target_requests_per_second", "Requests a second that each pod is meant to have."),
	excessBurst:       gauge("autoscaler_excess_burst_capacity", "Requests beyond the target burst capacity that pods could take; negative is a lack."),
	panicking:         gauge("autoscaler_panic_mode", "1 where the autoscaler is in a panic, otherwise 0."),
}

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"namespace_name", "service_name", "configuration_name", "revision_name"}, nil)
}

// Describe implements prometheus.Collector.
func (n *revisionNumbers) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		gauges.desired, gauges.requested, gauges.actual, gauges.notReady, gauges.pending, gauges.terminating,
		gauges.stableConcurrency, gauges.panicConcurrency, gauges.targetConcurrency,
		gauges.stableRPS, gauges.panicRPS, gauges.targetRPS, gauges.excessBurst, gauges.panicking,
	} {
		to <- d
	}
}

// lookLimit is how long numbers may wait for a cache that has seen nothing yet.
const lookLimit = time.Second

// Collect implements prometheus.Collector. Before the caches have seen the
// cluster there is nothing to tell.
func (n *revisionNumbers) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	var revisions servingv1.RevisionList
	var pods corev1.PodList
	if n.cache.List(ctx, &revisions, client.UnsafeDisableDeepCopy) != nil || n.cache.List(ctx, &pods, client.UnsafeDisableDeepCopy) != nil {
		return
	}
	counts := countPods(pods.Items, n.answers.of)
	for i := range revisions.Items {
		rev := &revisions.Items[i]
		n.collect(rev, counts[rev.UID], func(d *prometheus.Desc, value float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value,
				rev.Namespace, rev.Labels[servingv1.ServiceLabel], rev.Labels[servingv1.ConfigurationLabel], rev.Name)
		})
	}
}

func (n *revisionNumbers) collect(rev *servingv1.Revision, pods podCounts, tell func(*prometheus.Desc, float64)) {
	tell(gauges.requested, float64(pods.alive))
	tell(gauges.actual, float64(pods.answering))
	tell(gauges.notReady, float64(pods.silent))
	tell(gauges.pending, float64(pods.pending))
	tell(gauges.terminating, float64(pods.ending))
	key := client.ObjectKeyFromObject(rev)
	d, ok := n.loop.Decision(key)
	if !ok {
		return // its reconciler has not come to it yet
	}
	tell(gauges.desired, float64(d.Want))
	tell(gauges.excessBurst, float64(d.ExcessBurst))
	panicking := 0.0
	if d.Panicking {
		panicking = 1
	}
	tell(gauges.panicking, panicking)
	spec := n.loop.Spec(key)
	if spec.Metric == autoscaler.RPS {
		tell(gauges.stableRPS, d.Stable)
		tell(gauges.panicRPS, d.Panic)
		tell(gauges.targetRPS, spec.Target)
		return
	}
	tell(gauges.stableConcurrency, d.Stable)
	tell(gauges.panicConcurrency, d.Panic)
	tell(gauges.targetConcurrency, spec.Target)
}

// podCounts are a revision's pods by how they do. Alive are answering, silent
// and pending together.
type podCounts struct{ alive, answering, silent, pending, ending int }

// countPods counts the pods that have not ended, by their revision's UID.
func countPods(pods []corev1.Pod, answers func(*corev1.Pod) bool) map[types.UID]podCounts {
	counts := map[types.UID]podCounts{}
	for i := range pods {
		pod := &pods[i]
		uid := types.UID(pod.Labels[servingv1.RevisionUIDLabel])
		c := counts[uid]
		switch {
		case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
			continue
		case !pod.DeletionTimestamp.IsZero():
			c.ending++
		case answers(pod):
			c.answering++
		case pod.Status.Phase == corev1.PodRunning:
			c.silent++
		default:
			c.pending++
		}
		c.alive = c.answering + c.silent + c.pending
		counts[uid] = c
	}
	return counts
}
