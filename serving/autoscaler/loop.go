package autoscaler

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/serving/stream"
)

// tick is the time between two decisions about a revision.
const tick = 2 * time.Second

// Revision is what a revision's reconciler knows about it.
type Revision struct {
	Spec Spec
	// Reachable says whether a route leads to it, or will as soon as it is
	// ready.
	Reachable bool
	// Started says whether it has ever been ready. It keeps an autoscaler
	// that has just begun from starting a revision that is idle.
	Started bool
	// Ready is the number of its pods that answer, Pods of all it has that
	// are not being deleted.
	Ready, Pods int32
}

// Loop decides about every tracked revision. It implements stream.Receiver,
// and its methods may be called from anywhere.
type Loop struct {
	changed func(types.NamespacedName)
	log     *slog.Logger

	mu        sync.Mutex
	revisions map[types.NamespacedName]*decider
	sources   map[string]bool // activators whose stream is up
}

// New returns a Loop that calls changed when it wants another number of pods
// for a revision. Changed must not block.
func New(changed func(types.NamespacedName), log *slog.Logger) *Loop {
	return &Loop{
		changed:   changed,
		log:       log,
		revisions: make(map[types.NamespacedName]*decider),
		sources:   make(map[string]bool),
	}
}

// Run decides every two seconds until ctx ends.
func (l *Loop) Run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			l.tick(now)
		}
	}
}

func (l *Loop) tick(now time.Time) {
	l.mu.Lock()
	var changed []types.NamespacedName
	for key, d := range l.revisions {
		switch {
		case d.tracked && l.decide(key, d, now):
			changed = append(changed, key)
		case d.stale(now):
			delete(l.revisions, key)
		}
	}
	l.mu.Unlock()
	for _, key := range changed {
		l.changed(key)
	}
}

// Track takes what the reconciler knows about the revision key and returns
// how many pods it should have, and why. The first call, and one with a
// changed Spec or reachability, decides at once; it does not call changed.
func (l *Loop) Track(key types.NamespacedName, r Revision) (want int32, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.decider(key)
	if d.track(r) {
		l.decide(key, d, time.Now())
	}
	return d.last.Want, d.last.Reason
}

// Forget drops a revision that is gone.
func (l *Loop) Forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.revisions, key)
}

// Wanted is how many pods the revision key should have, and why it is that
// number: none, where it is not tracked.
func (l *Loop) Wanted(key types.NamespacedName) (want int32, reason string) {
	d, _ := l.Decision(key)
	return d.Want, d.Reason
}

// Decision is the latest decision about key with the numbers behind it. Its
// Reason is that of the time when Want last changed.
func (l *Loop) Decision(key types.NamespacedName) (Decision, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.revisions[key]
	if !ok || !d.tracked {
		return Decision{}, false
	}
	return d.last, true
}

// Spec is what the revision key asks of the autoscaler.
func (l *Loop) Spec(key types.NamespacedName) Spec {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d, ok := l.revisions[key]; ok {
		return d.revision.Spec
	}
	return Spec{}
}

// Receive implements stream.Receiver.
func (l *Loop) Receive(source string, m stream.Message) {
	key, changed := l.take(source, m, time.Now())
	if changed {
		l.changed(key)
	}
}

// take records m, and decides at once where somebody waits: for a held
// request, or for a revision that was to have no pods.
func (l *Loop) take(source string, m stream.Message, now time.Time) (key types.NamespacedName, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sources[source] = true
	var d *decider
	var due bool
	switch {
	case m.Stats != nil:
		key = types.NamespacedName{Namespace: m.Stats.Namespace, Name: m.Stats.Revision}
		d = l.decider(key)
		d.count(source, m.Stats, now)
		due = d.last.Want == 0 && (m.Stats.Concurrency > 0 || m.Stats.Requests > 0 || m.Stats.InFlight > 0)
	case m.Held != nil:
		key = types.NamespacedName{Namespace: m.Held.Namespace, Name: m.Held.Revision}
		d = l.decider(key)
		d.hold(source, m.Held.Requests, now)
		due = m.Held.Requests > 0
	}
	return key, due && d.tracked && l.decide(key, d, now)
}

// Gone implements stream.Receiver.
func (l *Loop) Gone(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sources, source)
	for _, d := range l.revisions {
		d.gone(source)
	}
}

// decider returns that of key, a new one where there is none: an activator
// may speak of a revision before its reconciler does.
func (l *Loop) decider(key types.NamespacedName) *decider {
	d, ok := l.revisions[key]
	if !ok {
		d = newDecider()
		l.revisions[key] = d
	}
	return d
}

// decide logs a changed mind and says whether it was one.
func (l *Loop) decide(key types.NamespacedName, d *decider, now time.Time) bool {
	before := d.last.Want
	if !d.decide(now, len(l.sources) > 0) {
		return false
	}
	l.log.Info("pods wanted", "revision", key.String(), "want", d.last.Want, "before", before, "reason", d.last.Reason)
	return true
}
