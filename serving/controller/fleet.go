package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// reasonFailedCreate is a ReplicaSet's word for a pod the server refuses.
const reasonFailedCreate = "FailedCreate"

const (
	firstBackOff = 200 * time.Millisecond
	lastBackOff  = 30 * time.Second
	atOnce       = 8 // pods made or deleted at a time
)

// fleet makes and deletes the pods of revisions. Its client waits for the
// cache to see what it has written, so the next look at a revision counts
// every pod made by the last.
type fleet struct {
	client  client.Client
	events  events.EventRecorder
	queue   desired.Queue
	look    *observability
	force   *inForce
	answers *answers
	// tokens are those of sidecars; nil in a cluster without Istio.
	tokens *sidecarTokens
	// standbys may have a pod already that only has to be told what to be.
	standbys *standbys
	// failures keep pods that end as soon as they are made from being made
	// again and again, by revision.
	failures *flowcontrol.Backoff
}

func newFleet(c client.Client, events events.EventRecorder, queue desired.Queue, look *observability, force *inForce, answers *answers, tokens *sidecarTokens) *fleet {
	return &fleet{
		client: c, events: events, queue: queue, look: look, force: force, answers: answers, tokens: tokens,
		failures: flowcontrol.NewBackOff(firstBackOff, lastBackOff),
	}
}

// bring makes or deletes pods until rev has as many as are wanted, no more at a
// time than its nodes have room to start. Pods that have ended are replaced,
// after a while that grows with every time. It returns how long to wait for
// that, if it has to.
func (f *fleet) bring(ctx context.Context, rev *servingv1.Revision, seen observation, to scale) (time.Duration, error) {
	id := string(rev.UID)
	if seen.answering > 0 || to.want == 0 {
		f.failures.DeleteEntry(id)
	}
	if len(seen.outdated()) > 0 && to.want > 0 {
		return 0, f.exchange(ctx, rev, seen, int(to.want))
	}
	missing := int(to.want) - len(seen.alive)
	stoodBy := len(seen.adopted.lost) > 0
	if missing > 0 && len(seen.ended) > 0 && seen.answering == 0 && !stoodBy {
		if wait := f.holdOff(id); wait > 0 {
			return wait, nil
		}
	}
	gone := slices.Concat(seen.ended, seen.adopted.lost)
	if missing < 0 {
		gone = append(gone, seen.alive[:-missing]...)
	}
	err := f.remove(ctx, gone)
	var again time.Duration
	switch {
	case missing > 0:
		room, later, wrong := f.room(ctx, seen.alive, f.failures.Clock.Now())
		if missing > room {
			missing, again = room, later
		}
		err = errors.Join(err, wrong, f.add(ctx, rev, missing, seen.sidecars.namespace, !stoodBy))
	case missing < 0 && to.want == 0:
		f.events.Eventf(rev, nil, corev1.EventTypeNormal, "ScaledToZero", "Scale", "Deleted %d pods: %s", -missing, to.reason)
	case missing < 0:
		f.events.Eventf(rev, nil, corev1.EventTypeNormal, "ScaledDown", "Scale", "Deleted %d pods: %s", -missing, to.reason)
	}
	return again, err
}

// exchange puts pods in the place of those that were made when the namespace
// was in the mesh and is not any more, or the other way round, and of those that
// stood by.
func (f *fleet) exchange(ctx context.Context, rev *servingv1.Revision, seen observation, want int) error {
	add, gone := exchange(seen, want, f.answers.of)
	err := f.remove(ctx, slices.Concat(gone, seen.ended, seen.adopted.lost))
	why := "what is asked for of Istio's sidecar has changed"
	if len(seen.sidecars.outdated) == 0 {
		why = "the pod of the manifest is in the place of the one that stood by"
	}
	if len(gone) > 0 {
		f.events.Eventf(rev, nil, corev1.EventTypeNormal, "Replaced", "Scale", "Deleted %d pods: %s", len(gone), why)
	}
	if add > 0 {
		err = errors.Join(err, f.add(ctx, rev, add, seen.sidecars.namespace, false))
	}
	return err
}

// holdOff is how long a revision whose pods have ended is to wait for the
// next ones; 0 means that the wait is over.
func (f *fleet) holdOff(id string) time.Duration {
	now := f.failures.Clock.Now()
	if f.failures.Get(id) == 0 {
		f.failures.Next(id, now)
	} else if !f.failures.IsInBackOffSinceUpdate(id, now) {
		f.failures.Next(id, now)
		return 0
	}
	return f.failures.Get(id)
}

// add makes n pods. With adopt a pod that stands by may become one of them.
func (f *fleet) add(ctx context.Context, rev *servingv1.Revision, n int, mesh, adopt bool) error {
	decided := time.Now().Format(time.RFC3339Nano)
	node, err := f.node(ctx, rev)
	if err != nil {
		return err
	}
	queue, err := f.sidecar(ctx)
	if err != nil {
		return err
	}
	if desired.Sidecar(rev, mesh) {
		if err := f.tokens.keep(ctx, rev); err != nil {
			return err
		}
	}
	var pods errgroup.Group
	pods.SetLimit(atOnce)
	for i := range n {
		pods.Go(func() error {
			pod := desired.Pod(rev, queue, desired.Place{Node: node, Mesh: mesh})
			pod.Annotations[servingv1.DecidedAnnotation] = decided
			if i == 0 && adopt && f.standbys != nil {
				if adopted := f.standbys.adopt(ctx, rev, pod); adopted != nil {
					f.events.Eventf(rev, adopted, corev1.EventTypeNormal, "Adopted", "Scale", "Pod %s, which stood by, is this revision's", adopted.Name)
					return nil
				}
			}
			if err := f.client.Create(ctx, pod, fieldOwner); err != nil {
				return fmt.Errorf("creating a pod: %w", err)
			}
			f.events.Eventf(rev, pod, corev1.EventTypeNormal, "Created", "Scale", "Created pod %s", pod.Name)
			return nil
		})
	}
	return pods.Wait()
}

// sidecar is queue-proxy as a pod that is made now is to have it.
func (f *fleet) sidecar(ctx context.Context) (desired.Queue, error) {
	look, err := f.says(ctx, observabilityConfig)
	if err != nil {
		return desired.Queue{}, err
	}
	older, err := f.says(ctx, tracingConfig)
	if err != nil {
		return desired.Queue{}, err
	}
	queue := f.queue
	queue.Resources = f.force.podsOfAll().Queue
	// Tuning says what is wrong with them.
	log, _ := f.look.logs(look)
	names, _ := f.look.metricNames(look)
	_ = f.look.traces.Take(observabilityConfig, look)
	_ = f.look.traces.Take(tracingConfig, older)
	queue.LogTemplate, queue.LogProbes, queue.OTelMetrics = log.Template, log.Probes, names.Requests
	queue.Tracing = f.look.traces.Settings()
	return queue, nil
}

// says is what a ConfigMap says, or said before it was gone.
func (f *fleet) says(ctx context.Context, name string) (map[string]string, error) {
	cm, err := setting(ctx, f.client, name)
	if err == nil && cm.UID == "" {
		last, _ := f.force.last(name)
		return last, nil
	}
	return cm.Data, err
}

func (f *fleet) remove(ctx context.Context, gone []*corev1.Pod) error {
	return removePods(ctx, f.client, gone, f.answers.took)
}

// unusedGrace is how long a pod that has taken no request may take to end: as
// long as Kubernetes gives one by default. Nobody waits for its answer, and
// without that bound a program that was told to end in its first milliseconds,
// before it listens for signals, would stay for the revision's timeout.
const unusedGrace = 30 * time.Second

// removePods deletes pods. Took says which may have requests.
func removePods(ctx context.Context, c client.Writer, gone []*corev1.Pod, took func(*corev1.Pod) bool) error {
	var pods errgroup.Group
	pods.SetLimit(atOnce)
	for _, pod := range gone {
		pods.Go(func() error {
			options := []client.DeleteOption{client.Preconditions{UID: &pod.UID}}
			if !took(pod) {
				options = append(options, client.GracePeriodSeconds(unusedGrace.Seconds()))
			}
			if err := c.Delete(ctx, pod, options...); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("deleting pod %s: %w", pod.Name, err)
			}
			return nil
		})
	}
	return pods.Wait()
}

// node is the node that a pod goes to without the scheduler's help: the only
// one there is. A revision that a node has refused goes through the scheduler
// after that, which waits for room.
func (f *fleet) node(ctx context.Context, rev *servingv1.Revision) (string, error) {
	if f.failures.Get(string(rev.UID)) > 0 {
		return "", nil
	}
	nodes, err := f.nodes(ctx)
	if len(nodes) != 1 || err != nil {
		return "", err
	}
	return nodes[0].Name, nil
}

// nodes are those that take pods.
func (f *fleet) nodes(ctx context.Context) ([]corev1.Node, error) {
	var nodes corev1.NodeList
	if err := f.client.List(ctx, &nodes, glance); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	var take []corev1.Node // the list is the cache's
	for i := range nodes.Items {
		if takesPods(&nodes.Items[i]) {
			take = append(take, nodes.Items[i])
		}
	}
	return take, nil
}

func takesPods(node *corev1.Node) bool {
	if node.Spec.Unschedulable {
		return false
	}
	for _, t := range node.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule {
			return false
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
