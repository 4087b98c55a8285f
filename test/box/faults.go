package box

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// KillPod ends all processes of a pod at once and with no time for a word. At
// once is one after the other, with a moment in between on a machine that is
// busy: queue-proxy is the first, or it would answer for a container that has
// gone, and be given the next request.
func (b *Box) KillPod(pod *corev1.Pod) {
	b.t.Helper()
	found, err := b.engine.processesOf(b, pod)
	if err == nil && len(found) == 0 {
		err = errors.New("it has no process")
	}
	if err == nil {
		err = b.engine.kill(b, queueFirst(found)...)
	}
	if err != nil {
		b.t.Fatalf("killing pod %s: %v", pod.Name, err)
	}
}

// queueFirst are processes by their containers' names, that of queue-proxy first.
func queueFirst(found map[string]int) []int {
	names := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		switch {
		case a == servingv1.QueueContainer:
			return -1
		case b == servingv1.QueueContainer:
			return 1
		}
		return strings.Compare(a, b)
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
