package app

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/history"
	"github.com/kind-in-a-box/devbox/internal/load"
	"github.com/kind-in-a-box/devbox/internal/patient"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// serviceWatch follows one service's pods and revisions into a timeline. The
// three watches call it from a goroutine each.
type serviceWatch struct {
	timeline *load.Timeline
	service  string
	fixed    bool // nobody scales it: as many pods are wanted as there are

	mu     sync.Mutex
	begun  bool                   // what there was before has been seen
	pods   map[string]*corev1.Pod // by name
	wanted map[string]int         // by revision
	failed map[string]bool        // revisions that are known to have
	live   string                 // takes most of the traffic
}

// firstLook is how long the API server may take to say what there is.
const firstLook = 5 * time.Second

// watchPods follows what a load is of until ctx ends. wait returns when it has
// stopped. What cannot be watched is not known, and the timeline stays empty.
func (c *cluster) watchPods(ctx context.Context, on *subject, timeline *load.Timeline) (wait func()) {
	if on.pods == nil {
		return func() {}
	}
	w := &serviceWatch{
		timeline: timeline, service: on.name, fixed: on.service == nil,
		pods: map[string]*corev1.Pod{}, wanted: map[string]int{}, failed: map[string]bool{},
	}
	watched := []client.Object{&corev1.Pod{}}
	if on.service != nil {
		w.live = largest(on.service.Status.Traffic)
		watched = append(watched, &servingv1.Revision{}, &servingv1.Service{})
	}
	selected := cache.ByObject{Label: on.pods}
	informers, err := cache.New(patient.Config(c.config), cache.Options{
		Scheme:            c.client.Scheme(),
		DefaultNamespaces: map[string]cache.Config{on.namespace: {}},
		ByObject:          map[client.Object]cache.ByObject{&corev1.Pod{}: selected, &servingv1.Revision{}: selected},
	})
	if err != nil {
		return func() {}
	}
	for _, object := range watched {
		informer, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return func() {}
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { w.see(object, false) },
			UpdateFunc: func(_, object any) { w.see(object, false) },
			DeleteFunc: func(object any) { w.see(object, true) },
		}); err != nil {
			return func() {}
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = informers.Start(ctx) // its end is ctx's
	}()
	looking, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	if informers.WaitForCacheSync(looking) {
		w.begin()
	}
	return func() { <-ended }
}

// watchBuilds marks the edits of a service that do not compile, as the box's
// sessions tell of them, until ctx ends. wait returns when it has stopped.
func (c *cluster) watchBuilds(ctx context.Context, service string, timeline *load.Timeline) (wait func()) {
	path, err := bootstrap.Events(c.d.name)
	if err != nil {
		return func() {}
	}
	began, ended := time.Now(), make(chan struct{})
	go func() {
		defer close(ended)
		_ = history.Follow(ctx, path, func(e event.Event) { // what cannot be read is not known
			if e.Kind == event.BuildFailed && e.Service == service && e.Time.After(began) {
				timeline.Add(load.MarkBuild, service)
			}
		})
	}()
	return func() { <-ended }
}

// begin says that all that comes from now on is new.
func (w *serviceWatch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = true
	w.count()
}

// see takes in what has become of an object.
func (w *serviceWatch) see(object any, gone bool) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch o := object.(type) {
	case *corev1.Pod:
		w.pods[o.Name] = o
		if gone {
			delete(w.pods, o.Name)
		}
	case *servingv1.Revision:
		w.revision(o, gone)
	case *servingv1.Service:
		if gone && o.Name == w.service {
			w.timeline.Add(load.MarkDeleted, o.Name)
			break
		}
		if live := largest(o.Status.Traffic); o.Name == w.service && live != "" && live != w.live {
			w.live = live
			w.timeline.Add(load.MarkLive, live)
		}
	}
	w.count()
}

func (w *serviceWatch) revision(r *servingv1.Revision, gone bool) {
	if gone {
		delete(w.wanted, r.Name)
		return
	}
	if _, known := w.wanted[r.Name]; !known && w.begun {
		w.timeline.Add(load.MarkNew, r.Name)
	}
	w.wanted[r.Name] = 0
	if n := r.Status.DesiredReplicas; n != nil {
		w.wanted[r.Name] = int(max(0, *n))
	}
	if failed := r.IsFailed(); failed != w.failed[r.Name] {
		w.failed[r.Name] = failed
		if failed && w.begun {
			w.timeline.Add(load.MarkFailed, r.Name)
		}
	}
}

// count says how many pods there are now.
func (w *serviceWatch) count() {
	if !w.begun {
		return
	}
	ready, present, wanted := 0, 0, 0
	for _, p := range w.pods {
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			continue
		}
		present++
		for _, condition := range p.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	for _, n := range w.wanted {
		wanted += n
	}
	if w.fixed {
		wanted = present
	}
	w.timeline.Set(ready, present, wanted)
}

// largest is the revision that most of the traffic goes to.
func largest(traffic []servingv1.TrafficTarget) (revision string) {
	most := int64(0)
	for _, t := range traffic {
		if t.Percent != nil && *t.Percent > most {
			most, revision = *t.Percent, t.RevisionName
		}
	}
	return revision
}
