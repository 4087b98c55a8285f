package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// update changes what is known of the pod and has it written.
func (p *pod) update(change func(*observed)) {
	p.mu.Lock()
	change(&p.observed)
	p.mu.Unlock()
	p.ring()
}

// ring has the status looked at. Many changes are one look.
func (p *pod) ring() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// gather is how long changes are gathered before they are written: the
// containers of a pod start, and end, at nearly the same time.
const gather = 10 * time.Millisecond

// report writes the pod's status whenever it is not what the API server has,
// until the pod is over or ctx ends. Nothing of the pod ever waits for it.
func (p *pod) report(ctx context.Context) {
	retry := newPause(firstRetry, lastRetry)
	for {
		before, after, over := p.statuses()
		err := p.write(ctx, before, after)
		switch {
		case apierrors.IsNotFound(err), apierrors.IsConflict(err), ctx.Err() != nil:
			return // it is gone, or another pod has its name
		case err != nil:
			p.node.log.Warn("writing a pod's status; it is tried again", "pod", p.name(), "error", err)
			if !retry.wait(ctx) {
				return
			}
			continue
		case over:
			return
		}
		retry = newPause(firstRetry, lastRetry)
		select {
		case <-p.changed:
		case <-ctx.Done():
			return
		}
		if !proxy.Sleep(ctx, gather) {
			return
		}
	}
}

// statuses returns the status the API server has and the one it should have,
// and whether that is the last.
func (p *pod) statuses() (before, after corev1.PodStatus, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pod := p.latest.DeepCopy()
	pod.Status = withForeign(p.written, p.latest.Status)
	o := p.observed
	o.init, o.main = slices.Clone(o.init), slices.Clone(o.main)
	return pod.Status, podStatus(pod, o, time.Now()), o.over
}

// withForeign is what the node has written, which may be newer than what it
// has seen, with the conditions that others have.
func withForeign(written, seen corev1.PodStatus) corev1.PodStatus {
	s := *written.DeepCopy()
	s.Conditions = slices.DeleteFunc(s.Conditions, isForeign)
	for _, c := range seen.Conditions {
		if isForeign(c) {
			s.Conditions = append(s.Conditions, c)
		}
	}
	s.QOSClass, s.NominatedNodeName = seen.QOSClass, seen.NominatedNodeName
	return s
}

func isForeign(c corev1.PodCondition) bool {
	switch c.Type {
	case corev1.PodScheduled, corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady:
		return false
	}
	return true
}

// write makes the status before the status after, if they differ.
func (p *pod) write(ctx context.Context, before, after corev1.PodStatus) error {
	if apiequality.Semantic.DeepEqual(before, after) {
		return nil
	}
	patch, err := statusPatch(p.object.UID, p.place.annotations(), before, after)
	if err != nil {
		return err
	}
	_, err = p.node.client.CoreV1().Pods(p.object.Namespace).
		Patch(ctx, p.object.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written = after
	return nil
}

// statusPatch is what differs, for the pod with this uid and no other. It has
// the annotations every time: what they say belongs to the address in the
// status, and nobody sees one without the other.
func statusPatch(uid types.UID, annotations map[string]string, before, after corev1.PodStatus) ([]byte, error) {
	from, err := json.Marshal(corev1.Pod{Status: before})
	if err != nil {
		return nil, fmt.Errorf("making a status patch: %w", err)
	}
	to, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid, Annotations: annotations}, Status: after})
	if err != nil {
		return nil, fmt.Errorf("making a status patch: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(from, to, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("making a status patch: %w", err)
	}
	return patch, nil
}
