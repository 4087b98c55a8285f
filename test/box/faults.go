package box

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// KillPod ends all processes of a pod at once and with no time for a word. At
// once is one after the other, with a moment in between on a machine that is
// busy: who stands in front is the first, a sidecar and then queue-proxy, or it
// would answer for who has gone, and be given the next request.
func (b *Box) KillPod(pod *corev1.Pod) {
	b.t.Helper()
	b.toPod("killing", pod, b.engine.kill)
}

// HaltPod stops all processes of a pod, as a node does that hangs. They stay so
// until the pod is deleted.
func (b *Box) HaltPod(pod *corev1.Pod) {
	b.t.Helper()
	b.toPod("halting", pod, b.engine.halt)
}

func (b *Box) toPod(what string, pod *corev1.Pod, do func(*Box, ...int) error) {
	b.t.Helper()
	found, err := b.engine.processesOf(b, pod)
	if err == nil && len(found) == 0 {
		err = errors.New("it has no process")
	}
	if err == nil {
		err = do(b, frontFirst(found)...)
	}
	if err != nil {
		b.t.Fatalf("%s pod %s: %v", what, pod.Name, err)
	}
}

// front are the containers through which a request comes to the user's.
var front = []string{"istio-proxy", servingv1.QueueContainer}

// frontFirst are processes by their containers' names, those of front first.
func frontFirst(found map[string]int) []int {
	place := func(name string) int {
		if i := slices.Index(front, name); i >= 0 {
			return i
		}
		return len(front)
	}
	names := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	})
	var pids []int
	for _, name := range names {
		pids = append(pids, found[name])
	}
	return pids
}

// Pause halts everything that the box runs, as a machine that sleeps does,
// until resume is called or t ends.
func (b *Box) Pause(t testing.TB) (resume func()) {
	t.Helper()
	wake, err := b.engine.pause(b)
	resume = sync.OnceFunc(func() {
		if err := wake(); err != nil {
			t.Errorf("resuming the box: %v", err)
		}
	})
	t.Cleanup(resume)
	if err != nil {
		t.Fatalf("pausing the box: %v", err)
	}
	return resume
}

// Node runs a command in the node of a box on kind.
func (b *Box) Node(args ...string) error {
	_, err := docker(append([]string{"exec", kind{}.node(b)}, args...)...)
	if err != nil {
		return fmt.Errorf("in the box's node: %w", err)
	}
	return nil
}
