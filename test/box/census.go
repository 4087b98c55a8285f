package box

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Census is how many pods a service has had, at every moment since it began.
type Census struct {
	began time.Time

	mu     sync.Mutex
	there  map[types.UID]bool // and not told to go
	counts []count
}

type count struct {
	after time.Duration
	pods  int
}

// Count begins a Census, by a watch, which misses none. It ends with t.
func (b *Box) Count(t testing.TB, service string) *Census {
	t.Helper()
	pods := b.Kubernetes().CoreV1().Pods("default")
	c := &Census{began: time.Now(), there: map[types.UID]bool{}}
	list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: Of(service)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		c.see(watch.Added, &list.Items[i])
	}
	ctx, cancel := context.WithCancel(t.Context())
	news, err := pods.Watch(ctx, metav1.ListOptions{LabelSelector: Of(service), ResourceVersion: list.ResourceVersion})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range news.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				c.see(e.Type, pod)
			}
		}
		if ctx.Err() == nil {
			t.Error("the watch of the pods has ended")
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c
}

func (c *Census) see(what watch.EventType, pod *corev1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.there)
	if what == watch.Deleted || pod.DeletionTimestamp != nil {
		delete(c.there, pod.UID)
	} else {
		c.there[pod.UID] = true
	}
	if len(c.there) != before {
		c.counts = append(c.counts, count{time.Since(c.began), len(c.there)})
	}
}

// Now is how many there are.
func (c *Census) Now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.there)
}

// Most is how many there ever were.
func (c *Census) Most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := 0
	for _, one := range c.counts {
		most = max(most, one.pods)
	}
	return most
}

func (c *Census) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, one := range c.counts {
		fmt.Fprintf(&b, "%d after %.1f s, ", one.pods, one.after.Seconds())
	}
	return strings.TrimSuffix(b.String(), ", ")
}
