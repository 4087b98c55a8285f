package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// probeEvery is the time between two questions to the gateway.
const probeEvery = 10 * time.Millisecond

// ErrSuperseded says that somebody else changed the Service, and another
// revision is its newest now.
var ErrSuperseded = errors.New("somebody else changed the Service")

// ErrDeleted says that the Service is not there any more, which is nobody's doing
// here: an Apply makes it anew.
var ErrDeleted = errors.New("somebody has deleted the Service")

// Stage is what Wait tells of.
type Stage string

const (
	Created Stage = "created" // there is a revision
	Rolling Stage = "rolling" // it answers for a part of the traffic, which grows: Reason says by whose wish
	Slow    Stage = "slow"    // it does not answer yet: Reason says why
	Failed  Stage = "failed"  // it does not answer, if nothing changes: Reason says why
	Live    Stage = "live"    // it answers
	Failing Stage = "failing" // it was live, and has failed: Reason says why
	Well    Stage = "well"    // it had failed after it was live, and is well again
	Moved   Stage = "moved"   // it was live, and the traffic goes elsewhere now, as Pinned says; or to it again
)

// Report is one stage of a Rollout.
type Report struct {
	Stage    Stage
	Revision string
	Host     string // under which the gateway knows it
	Browser  string // when live: the host by which a browser finds it, "" where Unfound says why none does
	Unfound  string
	Reason   string
	Hint     string   // when failed, or pinned: what to do about it
	Final    bool     // when failed: it is not tried again
	Pinned   string   // when live: where the traffic goes instead, if it does not go here
	Log      []string // the container's last lines
	// Pod and Switch, when live, are how long it took from Apply until the
	// revision's pod answered, and from then until the gateway used it.
	Pod, Switch time.Duration
}

// Wait tells of the revision that an Apply makes until it is live, and
// returns then, or when ctx ends; or with ErrSuperseded or ErrDeleted. A failure does not end it, because a
// container that crashed is started again and may come up after all.
func (d *Deployer) Wait(ctx context.Context, r *Rollout, tell func(Report)) error {
	return (&waiting{Deployer: d, Rollout: r, tell: tell}).untilLive(ctx)
}

// Attend is Wait, and goes on to tell of the revision while it is live and the
// Service's newest: when it has failed, and when it is well again. It ends with
// ErrDeleted when the Service goes.
func (d *Deployer) Attend(ctx context.Context, r *Rollout, tell func(Report)) error {
	w := &waiting{Deployer: d, Rollout: r, tell: tell}
	if err := w.untilLive(ctx); err != nil {
		return err
	}
	return w.attend(ctx)
}

// untilLive is Wait.
func (w *waiting) untilLive(ctx context.Context) error {
	d, r := w.Deployer, w.Rollout
	if !d.cache.WaitForCacheSync(ctx) { // until Run has got that far
		return context.Cause(ctx)
	}
	slow := time.NewTicker(d.slow)
	defer slow.Stop()
	var probe <-chan time.Time
	for {
		bell := d.bell()
		if err := w.look(ctx); err != nil {
			return err
		}
		if w.live {
			return nil
		}
		if w.revision != "" && r.follows && probe == nil {
			ticker := time.NewTicker(probeEvery)
			defer ticker.Stop()
			probe = ticker.C
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-bell:
		case <-probe:
			if w.follows && rolling(w.now) == "" && w.answers(ctx) {
				w.goLive(time.Now())
				return nil
			}
		case <-slow.C:
			w.sluggish(ctx)
		}
	}
}

// waiting is what one Wait has seen so far.
type waiting struct {
	*Deployer
	*Rollout
	tell func(Report)

	seen     bool // the Service was there
	revision string
	pod      time.Time // when its pod answered
	failed   bool
	since    time.Time // when it was first seen to have failed
	final    bool      // no further try comes
	reason   string
	live     bool
	slowSaid string
	now      state
}

// state is what the cache holds of a Rollout.
type state struct {
	service  *servingv1.Service
	revision *servingv1.Revision
	pods     []corev1.Pod
	warned   map[string]string // of the first pod: what events of a reason say; read only where it takes long
}

// host is the one of the Service's status, since what the box's ConfigMaps and the
// Service's labels make of it is the controller's to say, and before there is a
// status the one that the Rollout supposes.
func (w *waiting) host() string {
	if w.now.service == nil {
		return w.Rollout.host
	}
	return w.Host(w.now.service)
}

// say tells of a stage, with the host as it is now.
func (w *waiting) say(r Report) {
	r.Host = w.host()
	w.tell(r)
}

// look reads the cache and tells what is new.
func (w *waiting) look(ctx context.Context) error {
	now, err := w.observe(ctx)
	if err != nil {
		return err
	}
	w.now = now
	switch {
	case w.revision == "" && now.revision != nil:
		w.revision = now.revision.Name
		w.say(Report{Stage: Created, Revision: w.revision})
	case w.revision != "" && now.service != nil && now.service.Status.LatestCreatedRevisionName != w.revision:
		return fmt.Errorf("waiting for %s: %w", w.revision, ErrSuperseded)
	}
	if now.revision != nil && w.pod.IsZero() && now.revision.Status.IsTrue(servingv1.ConditionReady) {
		w.pod = time.Now()
	}
	if now.service != nil && now.service.Generation >= w.service.Generation { // the cache may be behind our own apply
		w.follows = follows(now.service.Spec.Traffic, w.revision) // somebody may have pinned it meanwhile, or let it go
		if !w.follows && now.revision != nil && now.revision.IsReady() {
			w.goLive(time.Now())
			return nil
		}
	}
	if reason, failed := failure(now, w.service.Generation); failed {
		if w.since.IsZero() {
			w.since = time.Now()
		}
		w.fail(ctx, reason, final(now, time.Since(w.since)))
	}
	if reason := rolling(now); reason != "" && reason != w.slowSaid {
		w.slowSaid = reason
		w.say(Report{Stage: Rolling, Revision: w.revision, Reason: reason})
	}
	return nil
}

// fail tells of a failure, and once more when it is the last word.
func (w *waiting) fail(ctx context.Context, reason string, final bool) {
	if w.failed && (w.final || !final) {
		return
	}
	r := Report{Stage: Failed, Revision: w.revision, Reason: reason, Final: final}
	if reason == w.reason { // told, with its log; what is new is that it stays so
		r.Reason = w.spent()
	} else {
		r.Log = w.log(ctx)
		r.Hint = portHint(append([]string{reason}, r.Log...))
		if w.lacksImage() && !final {
			r.Hint = "the registry is asked again every few seconds"
		}
		if w.guest != nil && w.guest.PullSecret == "" && (w.lacksImage() || notPulled(w.now.revision)) {
			r.Hint = "where the registry asks nodes for credentials, name a Secret that has them with --pull-secret"
		}
	}
	if said := w.warned(ctx)[notListening]; final && said != "" && said != w.slowSaid {
		r.Reason = strings.TrimSuffix(r.Reason, ".") + ": " + said
	}
	w.failed, w.final, w.reason = true, final, reason
	w.say(r)
}

// spent says what a failure that was told of has used up.
func (w *waiting) spent() string {
	if w.lacksImage() {
		return fmt.Sprintf("its image was not to be had for %s", time.Since(w.since).Round(time.Second))
	}
	return "its progress deadline has passed"
}

// lacksImage says whether it is for its image that the revision has failed.
func (w *waiting) lacksImage() bool {
	return w.now.revision != nil && hasReason(w.now.revision, servingv1.RevisionContainerHealthy, servingv1.ReasonContainerMissing)
}

// observe reads the Service, its newest revision, if that is ours, and the
// revision's pods.
func (w *waiting) observe(ctx context.Context) (state, error) {
	var now state
	var s servingv1.Service
	switch err := w.cache.Get(ctx, client.ObjectKeyFromObject(w.service), &s); {
	case apierrors.IsNotFound(err) && w.seen:
		return now, ErrDeleted
	case apierrors.IsNotFound(err):
		return now, nil // the cache has not heard of it yet
	case err != nil:
		return now, fmt.Errorf("reading the Service %s: %w", w.service.Name, err)
	case s.DeletionTimestamp != nil:
		return now, ErrDeleted
	}
	w.seen, now.service = true, &s
	name := w.revision
	if name == "" && upToDate(&s, w.service.Generation) {
		name = s.Status.LatestCreatedRevisionName
	}
	if name == "" {
		return now, nil
	}
	var rev servingv1.Revision
	switch err := w.cache.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &rev); {
	case apierrors.IsNotFound(err):
		return now, nil
	case err != nil:
		return now, fmt.Errorf("reading the Revision %s: %w", name, err)
	}
	if rev.Annotations[TemplateAnnotation] != w.template || rev.UID == w.Rollout.failed ||
		w.template == "" && s.Status.ObservedGeneration < w.service.Generation {
		return now, nil // the one before ours
	}
	now.revision = &rev
	var pods corev1.PodList
	if err := w.cache.List(ctx, &pods, client.InNamespace(s.Namespace), client.MatchingLabels{servingv1.RevisionLabel: name}); err != nil {
		return now, fmt.Errorf("listing the pods of %s: %w", name, err)
	}
	now.pods = pods.Items
	return now, nil
}

// upToDate says whether a Service's status is about a generation: what it was
// before may have had a revision of the same annotation, which somebody has
// changed in between.
func upToDate(s *servingv1.Service, generation int64) bool {
	c := s.Status.Condition(servingv1.ServiceConfigurationsReady)
	return s.Status.ObservedGeneration >= generation && (c == nil || c.Reason != servingv1.ReasonOutOfDate)
}

// answers says whether the gateway answers with the revision.
func (w *waiting) answers(ctx context.Context) bool {
	revision, unnamed := w.answering(ctx, w.host())
	return revision == w.revision || unnamed && w.routed()
}

// routed says whether the revision takes the traffic by the Service's own word.
func (w *waiting) routed() bool {
	s := w.now.service
	return s != nil && s.Generation >= w.service.Generation && Settled(s) && Serving(s) == w.revision
}

// answering asks the gateway which revision answers for a host; empty if none,
// or if it is upstream's serving, which answers unnamed.
func (d *Deployer) answering(ctx context.Context, host string) (revision string, unnamed bool) {
	answer, err := Ask(ctx, d.http, d.gateway, host)
	if err != nil {
		return "", false // the gateway knows no such host yet, or is not there
	}
	return answer.Revision, answer.Upstream && d.guest != nil
}

func (w *waiting) goLive(at time.Time) {
	w.live = true
	if w.pod.IsZero() {
		w.pod = at // the gateway's word came before the cache's
	}
	live := Report{Stage: Live, Revision: w.revision, Pod: w.pod.Sub(w.start), Switch: at.Sub(w.pod)}
	if w.now.service != nil && (w.guest == nil || !w.guest.Remote) {
		live.Browser, live.Unfound = servingv1.BrowserHost(w.now.service)
	}
	if !w.follows {
		live.Pinned, live.Hint = w.pinned(w.now.service, w.revision)
	}
	w.say(live)
}

// sluggish tells why it takes so long, once for each reason.
func (w *waiting) sluggish(ctx context.Context) {
	now := w.now
	now.warned = w.warned(ctx)
	reason := delay(now, w.Rollout)
	if w.failed || reason == w.slowSaid {
		return
	}
	w.slowSaid = reason
	w.say(Report{Stage: Slow, Revision: w.revision, Reason: reason, Log: w.log(ctx)})
}
