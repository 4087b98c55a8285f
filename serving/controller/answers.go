package controller

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"github.com/kind-in-a-box/devbox/serving/stream"
)

// answers is what activators have said about which pods answer their probe.
type answers struct {
	doorbell
	pods *lru.Cache // by pod UID: answer
}

// answer is the last word on a pod.
type answer struct {
	stream.Pod
	since time.Time // of the first time that it said what it says
	took  bool      // requests: the pod has answered at some time
}

func newAnswers() *answers { return &answers{pods: lru.New(8192)} }

// receive takes one message of the stream and asks for a reconcile of the
// revision whose pod it speaks of.
func (a *answers) receive(m stream.Message) {
	if m.Pod == nil {
		return
	}
	word := answer{*m.Pod, time.Now(), m.Pod.Answers}
	if before, ok := a.last(types.UID(m.Pod.UID)); ok {
		word.took = word.took || before.took
		if before.Answers == word.Answers {
			word.since = before.since
		}
	}
	a.pods.Add(types.UID(m.Pod.UID), word)
	a.ring(types.NamespacedName{Namespace: m.Pod.Namespace, Name: m.Pod.Revision})
}

func (a *answers) last(pod types.UID) (answer, bool) {
	said, _ := a.pods.Get(pod)
	word, ok := said.(answer)
	return word, ok
}

// of says whether pod takes requests.
func (a *answers) of(pod *corev1.Pod) bool {
	_, ok := a.since(pod)
	return ok
}

// since says whether pod takes requests, and for how long it has. Where the
// activator has not said, as after a restart of the controller, kubelet has: it
// asks the same question of the same port, once a second.
func (a *answers) since(pod *corev1.Pod) (time.Time, bool) {
	if word, ok := a.last(pod.UID); ok {
		return word.since, word.Answers
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

// took says whether pod may have been given requests.
func (a *answers) took(pod *corev1.Pod) bool {
	word, _ := a.last(pod.UID)
	return word.took || a.of(pod)
}

// refusal is how pod's sidecar refuses the activator; "" where it does not.
func (a *answers) refusal(pod *corev1.Pod) stream.Refusal {
	word, _ := a.last(pod.UID)
	return word.Refusal
}
