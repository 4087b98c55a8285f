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
// those of controller-runtime, those of every revision, and what a session of
// `devbox up` has counted. docs/metrics.md says what each means.
func (c *Controller) WriteMetrics(w io.Writer) {
	families, err := prometheus.Gatherers{metrics.Registry, c.numbers, &c.session}.Gather()
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
func newNumbers(c client.Reader, loop *autoscaler.Loop, answers *answers, names *metricNames) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&revisionNumbers{c, loop, answers, names})
	return registry
}

// revisionNumbers are the numbers of revisions. They are made of what there is
// when somebody asks, and kept nowhere: a revision that is gone has none.
type revisionNumbers struct {
	cache   client.Reader
	loop    *autoscaler.Loop
	answers *answers
	names   *metricNames
}

// gauge is a number of a revision, with its classic name and that which
// OpenTelemetry's exporter for Prometheus gives to upstream's since 1.19.
type gauge struct{ classic, otel *prometheus.Desc }

func newGauge(classic, otel, help string) gauge {
	return gauge{
		prometheus.NewDesc("autoscaler_"+classic, help, []string{"namespace_name", "service_name", "configuration_name", "revision_name"}, nil),
		prometheus.NewDesc("kn_revision_"+otel, help, []string{"k8s_namespace_name", "kn_service_name", "kn_configuration_name", "kn_revision_name"}, nil),
	}
}

var (
	desiredPods     = newGauge("desired_pods", "pods_desired", "Pods that the autoscaler wants.")
	requestedPods   = newGauge("requested_pods", "pods_requested", "Pods that there are, ready or not, and that are not to end.")
	actualPods      = newGauge("actual_pods", "pods_count", "Pods that answer.")
	notReadyPods    = newGauge("not_ready_pods", "pods_not_ready_count", "Pods that run and do not answer.")
	pendingPods     = newGauge("pending_pods", "pods_pending_count", "Pods that do not run yet.")
	terminatingPods = newGauge("terminating_pods", "pods_terminating_count", "Pods that are about to end.")

	stableConcurrency = newGauge("stable_request_concurrency", "concurrency_stable", "Average of requests in flight over the stable window.")
	panicConcurrency  = newGauge("panic_request_concurrency", "concurrency_panic", "Average of requests in flight over the panic window.")
	targetConcurrency = newGauge("target_concurrency_per_pod", "concurrency_target", "Requests in flight that each pod is meant to have.")
	stableRPS         = newGauge("stable_requests_per_second", "rps_stable", "Average of requests a second over the stable window.")
	panicRPS          = newGauge("panic_requests_per_second", "rps_panic", "Average of requests a second over the panic window.")
	targetRPS         = newGauge("target_requests_per_second", "rps_target", "Requests a second that each pod is meant to have.")

	excessBurst = newGauge("excess_burst_capacity", "capacity_excess", "Requests beyond the target burst capacity that pods could take; negative is a lack.")
	panicMode   = newGauge("panic_mode", "panic_mode", "1 where the autoscaler is in a panic, otherwise 0.")
)

// Describe implements prometheus.Collector.
func (n *revisionNumbers) Describe(to chan<- *prometheus.Desc) {
	for _, g := range []gauge{
		desiredPods, requestedPods, actualPods, notReadyPods, pendingPods, terminatingPods,
		stableConcurrency, panicConcurrency, targetConcurrency, stableRPS, panicRPS, targetRPS, excessBurst, panicMode,
	} {
		to <- g.classic
		to <- g.otel
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
	counts, otel := countPods(pods.Items, n.answers.of), n.names.otel()
	for i := range revisions.Items {
		rev := &revisions.Items[i]
		n.collect(rev, counts[rev.UID], func(g gauge, value float64) {
			labels := []string{rev.Namespace, rev.Labels[servingv1.ServiceLabel], rev.Labels[servingv1.ConfigurationLabel], rev.Name}
			to <- prometheus.MustNewConstMetric(g.classic, prometheus.GaugeValue, value, labels...)
			if otel {
				to <- prometheus.MustNewConstMetric(g.otel, prometheus.GaugeValue, value, labels...)
			}
		})
	}
}

func (n *revisionNumbers) collect(rev *servingv1.Revision, pods podCounts, tell func(gauge, float64)) {
	tell(requestedPods, float64(pods.alive))
	tell(actualPods, float64(pods.answering))
	tell(notReadyPods, float64(pods.silent))
	tell(pendingPods, float64(pods.pending))
	tell(terminatingPods, float64(pods.ending))
	key := client.ObjectKeyFromObject(rev)
	d, ok := n.loop.Decision(key)
	if !ok {
		return // its reconciler has not come to it yet
	}
	tell(desiredPods, float64(d.Want))
	tell(excessBurst, float64(d.ExcessBurst))
	panicking := 0.0
	if d.Panicking {
		panicking = 1
	}
	tell(panicMode, panicking)
	stable, panicky, target := stableConcurrency, panicConcurrency, targetConcurrency
	spec := n.loop.Spec(key)
	if spec.Metric == autoscaler.RPS {
		stable, panicky, target = stableRPS, panicRPS, targetRPS
	}
	tell(stable, d.Stable)
	tell(panicky, d.Panic)
	tell(target, spec.Target)
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
