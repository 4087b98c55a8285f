package controller

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"github.com/kind-in-a-box/devbox/serving/stream"
)

// answers is what activators have said about which pods answer their probe.
type answers struct {
	doorbell
	pods *lru.Cache // by pod UID: stream.Pod
}

func newAnswers() *answers { return &answers{pods: lru.New(8192)} }

// receive takes one message of the stream and asks for a reconcile of the
// revision whose pod it speaks of.
func (a *answers) receive(m stream.Message) {
	if m.Pod == nil {
		return
	}
	a.pods.Add(types.UID(m.Pod.UID), *m.Pod)
	a.ring(types.NamespacedName{Namespace: m.Pod.Namespace, Name: m.Pod.Revision})
}

// of says whether pod takes requests. Where the activator has not said,
// as after a restart of the controller, kubelet has: it asks the same
// question of the same port, once a second.
func (a *answers) of(pod *corev1.Pod) bool {
	if said, ok := a.pods.Get(pod.UID); ok {
		pod, _ := said.(stream.Pod)
		return pod.Answers
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// refusal is how pod's sidecar refuses the activator; "" where it does not.
func (a *answers) refusal(pod *corev1.Pod) stream.Refusal {
	said, _ := a.pods.Get(pod.UID)
	told, _ := said.(stream.Pod)
	return told.Refusal
}
