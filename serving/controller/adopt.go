package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

const (
	// adoptedLate is how long an adopted pod may take to answer before the pod
	// that the revision asks for is made beside it: longer than nearly every
	// program takes, and no longer than somebody waits who was told a second.
	adoptedLate = 3 * time.Second
	// adoptedQuiet is how long one serves before the other takes its place, so
	// that edits in a row do not pay for it; adoptedLast is that of one that is
	// never quiet.
	adoptedQuiet = 10 * time.Second
	adoptedLast  = time.Minute
)

// errAdoptionFailed is why a pod that was about to be adopted was not.
var errAdoptionFailed = errors.New("the pod that stood by cannot be adopted")

// adopt makes a pod that stands by one of rev's, as wanted, if there is one and
// it can become that. It returns nil where the ordinary pod has to be made.
func (s *standbys) adopt(ctx context.Context, rev *servingv1.Revision, wanted *corev1.Pod) *corev1.Pod {
	key := types.NamespacedName{Namespace: rev.Namespace, Name: rev.Labels[servingv1.ConfigurationLabel]}
	k := s.claim(key)
	if k == nil {
		return nil
	}
	pod, why, err := s.give(ctx, k, rev, wanted)
	switch {
	case err != nil:
		why = err.Error()
	case why == "":
		s.say(k.owner, "")
		return pod
	}
	s.say(k.owner, fmt.Sprintf("pod %s did not stand in for %s: %s", k.pod.Name, rev.Name, why))
	s.discard(context.WithoutCancel(ctx), []*kept{k})
	return nil
}

// claim takes the pod that stands by for a configuration, if it waits. Nobody
// else gets it after that.
func (s *standbys) claim(configuration types.NamespacedName) *kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[configuration]
	if k == nil || !s.desk.Of(k.pod.Name).Waits {
		return nil
	}
	delete(s.kept, configuration)
	s.ring(everything)
	return k
}

// give gives the pod its orders, and writes its new metadata while it follows
// them. Where that fails it is deleted.
func (s *standbys) give(ctx context.Context, k *kept, rev *servingv1.Revision, wanted *corev1.Pod) (_ *corev1.Pod, why string, err error) {
	image, err := s.images.of(ctx, desired.UserImage(wanted))
	if err != nil {
		return nil, "", err
	}
	orders, why := desired.Adopt(k.template, wanted, k.image, image)
	if why != "" {
		return nil, why, nil
	}
	if why, err = s.changed(ctx, k, wanted); why != "" || err != nil {
		return nil, why, err
	}
	for _, order := range orders {
		order.Pod = k.pod.Name
	}
	patch, err := json.Marshal(desired.Adopted(k.pod, wanted, time.Now().Format(time.RFC3339Nano)))
	if err != nil {
		return nil, "", fmt.Errorf("encoding a pod's metadata: %w", err)
	}
	s.mu.Lock()
	taken := &adoptee{revision: client.ObjectKeyFromObject(rev)}
	s.taken[k.pod.Name] = taken
	s.mu.Unlock()
	if err := s.desk.Send(k.pod.Name, orders); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errAdoptionFailed, err)
	}
	pod := k.pod.DeepCopy()
	if err := s.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errAdoptionFailed, err)
	}
	if !pod.DeletionTimestamp.IsZero() {
		return nil, "", fmt.Errorf("%w: it is being deleted", errAdoptionFailed)
	}
	s.mu.Lock()
	taken.written = true
	s.mu.Unlock()
	return pod, "", nil
}

// changed says which of the ConfigMaps and Secrets has changed whose values the
// node gave to the pod when it was made.
func (s *standbys) changed(ctx context.Context, k *kept, wanted *corev1.Pod) (string, error) {
	now, err := s.versions(ctx, wanted)
	if err != nil {
		return "", err
	}
	for source, version := range now {
		if k.sources[source] != version {
			return fmt.Sprintf("the %s has changed since the pod was made", source), nil
		}
	}
	return "", nil
}

// adoptedAt is when pod was adopted; !ok where it was made for its revision.
func adoptedAt(pod *corev1.Pod) (at time.Time, ok bool) {
	if pod.Labels[servingv1.StandbyLabel] != servingv1.StandbyAdopted {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, pod.Annotations[servingv1.AdoptedAnnotation])
	if err != nil {
		at = pod.CreationTimestamp.Time
	}
	return at, true
}

// madeAt is when a pod became its revision's.
func madeAt(pod *corev1.Pod) time.Time {
	if at, ok := adoptedAt(pod); ok {
		return at
	}
	return pod.CreationTimestamp.Time
}

// adoption is how it stands with the adopted ones of a revision's pods.
type adoption struct {
	lost     []*corev1.Pod // that have not become what they were to be
	outdated []*corev1.Pod // whose place the revision's own pods are to take
	serving  string        // the name of one
	again    time.Duration // when time alone may change that; 0: not
}

// explain writes into rev's status what there is to say of pods that stand by.
func (s *standbys) explain(rev *servingv1.Revision, seen adoption) {
	words := ""
	owner := metav1.GetControllerOf(rev)
	switch {
	case seen.serving != "":
		words = fmt.Sprintf("pod %s, which stood by, serves until the pod of the manifest has taken its place", seen.serving)
	case owner != nil:
		words = s.why(owner.UID)
	}
	annotate(&rev.Status.Annotations, servingv1.StandbyAnnotation, words)
}

// adopted looks at a revision's pods that are alive. Quiet says that nobody is
// about to make another revision, and few call it.
func (s *standbys) adopted(alive []*corev1.Pod, answers func(*corev1.Pod) bool, quiet bool, now time.Time) adoption {
	var a adoption
	for _, pod := range alive {
		at, ok := adoptedAt(pod)
		if !ok {
			continue
		}
		if s.desk.Of(pod.Name).Failed != "" {
			a.lost = append(a.lost, pod)
			continue
		}
		a.serving = pod.Name
		limit := adoptedLast
		switch {
		case !answers(pod):
			limit = adoptedLate
		case quiet:
			limit = adoptedQuiet
		}
		if left := at.Add(limit).Sub(now); left > 0 {
			a.again = soonest(a.again, left)
		} else {
			a.outdated = append(a.outdated, pod)
		}
	}
	return a
}
