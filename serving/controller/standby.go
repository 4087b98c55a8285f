package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/standby"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// Standby says how pods stand by. The zero Standby is that none do.
type Standby struct {
	// URL is where Controller.Standby is served, from pods.
	URL string
	// Program is an image of queue-proxy's in the box's registry.
	Program string
	// Registry is the URL at which pods find that registry.
	Registry string
}

// images are those of pods that stand by, nil where none do.
func (s Standby) images(lookups *digests) (*standbyImages, error) {
	if s.URL == "" {
		return nil, nil
	}
	return newStandbyImages(s.Program, s.Registry, lookups.mirrored)
}

const (
	// standbyStart is how long a pod may take to begin to wait; one that has not
	// is made anew. The time between two tries begins with firstRetry, in which a
	// registry that has been restarted is there again, and grows up to lastRetry.
	standbyStart = time.Minute
	firstRetry   = 5 * time.Second
	lastRetry    = 10 * time.Minute
)

// everything is the one thing that standbys reconcile: which services have a pod
// that stands by depends on all of them.
var everything = types.NamespacedName{Name: "standby"}

// standbys keeps pods that stand by. It knows those that it has made itself;
// others, of a controller before it, are deleted when it starts.
//
//	services by when they were edited or called --> the first few have one each
//	fleet --adopt--> a pod that stands by --> one of a revision
type standbys struct {
	doorbell
	client client.Client
	direct client.Client // for pods that are in no cache, which would be waited for there
	fleet  *fleet
	images *standbyImages // nil: pods do not stand by
	desk   *standby.Desk
	url    string
	force  *inForce
	wake   func(types.NamespacedName) // has a revision looked at again
	tries  *flowcontrol.Backoff       // by configuration

	mu     sync.Mutex
	swept  bool
	kept   map[types.NamespacedName]*kept     // by configuration
	called map[types.NamespacedName]time.Time // revisions that a request woke
	words  map[types.UID]string               // why a configuration has none
	taken  map[string]*adoptee                // adopted pods, by name
}

// adoptee is an adopted pod.
type adoptee struct {
	revision types.NamespacedName
	written  bool // its metadata says so
}

// kept is a pod that stands by.
type kept struct {
	pod      *corev1.Pod // as it was made
	owner    types.UID   // the configuration
	revision types.UID   // of template
	template *corev1.Pod // that of the revision it is made for
	image    desired.Image
	sources  map[desired.Source]string // what its values were then, by resource version
	made     time.Time
	waited   bool // it has waited once
}

func newStandbys(c, direct client.Client, fleet *fleet, images *standbyImages, url string, force *inForce, wake func(types.NamespacedName)) *standbys {
	s := &standbys{
		client: c, direct: direct, fleet: fleet, images: images, url: url, force: force, wake: wake,
		tries: flowcontrol.NewBackOff(firstRetry, lastRetry),
		kept:  map[types.NamespacedName]*kept{}, called: map[types.NamespacedName]time.Time{},
		words: map[types.UID]string{}, taken: map[string]*adoptee{},
	}
	s.desk = standby.NewDesk(s.news)
	return s
}

func (s *standbys) register(mgr manager.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: everything}}
	})
	return builder.ControllerManagedBy(mgr).Named("standby").
		Watches(&servingv1.Configuration{}, all).
		Watches(&servingv1.Revision{}, all).
		WatchesRawSource(&s.doorbell).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).
		Complete(reconcile.Func(s.Reconcile))
}

// news takes the Desk's word that it stands otherwise with a pod.
func (s *standbys) news(pod string) {
	s.ring(everything)
	s.mu.Lock()
	taken := s.taken[pod]
	s.mu.Unlock()
	if taken != nil {
		s.wake(taken.revision)
	}
}

// receive takes note of which revisions a request has woken.
func (s *standbys) receive(m stream.Message) {
	if m.Held == nil || m.Held.Requests == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called[types.NamespacedName{Namespace: m.Held.Namespace, Name: m.Held.Revision}] = time.Now()
}

// why says why a configuration has no pod that stands by, where it was to have
// one.
func (s *standbys) why(configuration types.UID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.words[configuration]
}

// say notes why a configuration has none, and says whether that is news.
func (s *standbys) say(configuration types.UID, words string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.words[configuration] != words
	if s.words[configuration] = words; words == "" {
		delete(s.words, configuration)
	}
	return news
}

// tell is say where nobody is about to write it down: the revision does.
func (s *standbys) tell(c candidate, words string) {
	if s.say(c.configuration.UID, words) && c.revision != nil {
		s.wake(client.ObjectKeyFromObject(c.revision))
	}
}

// Reconcile implements reconcile.Reconciler.
func (s *standbys) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	if err := s.sweep(ctx); err != nil {
		return reconcile.Result{}, err
	}
	if err := s.dismiss(ctx); err != nil {
		return reconcile.Result{}, err
	}
	now := time.Now()
	all, err := s.candidates(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	settings := s.force.standbys()
	chosen, next := choose(all, settings.Pods, settings.Life, now)
	s.quiet(chosen)
	if s.images == nil {
		for _, c := range chosen {
			s.tell(c, "no pod stands by: this engine does not have it")
		}
		chosen = nil
	}
	again := s.drop(ctx, chosen, now)
	for _, c := range chosen {
		wait, err := s.keep(ctx, c)
		if err != nil {
			return reconcile.Result{}, err
		}
		again = soonest(again, wait)
	}
	return reconcile.Result{RequeueAfter: soonest(again, next)}, nil
}

// quiet forgets why configurations have none that are to have none.
func (s *standbys) quiet(chosen []candidate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.words, func(id types.UID, _ string) bool {
		return !slices.ContainsFunc(chosen, func(c candidate) bool { return c.configuration.UID == id })
	})
}

// sweep deletes what another controller kept, once: nobody knows any more what
// it was made of.
func (s *standbys) sweep(ctx context.Context) error {
	if s.swept {
		return nil
	}
	var pods corev1.PodList
	if err := s.direct.List(ctx, &pods, client.MatchingLabels{servingv1.StandbyLabel: servingv1.StandbyWaits}); err != nil {
		return fmt.Errorf("listing pods that stand by: %w", err)
	}
	var gone []*corev1.Pod
	for i := range pods.Items {
		gone = append(gone, &pods.Items[i])
	}
	if err := removePods(ctx, s.direct, gone, nobodyAsked); err != nil {
		return err
	}
	s.swept = true
	return nil
}

// nobodyAsked is so of pods that stand by, and of those that were to be adopted
// and are of no use.
func nobodyAsked(*corev1.Pod) bool { return false }

// dismiss forgets adopted pods that are not there any more.
func (s *standbys) dismiss(ctx context.Context) error {
	s.mu.Lock()
	var known []string
	for name, taken := range s.taken {
		if taken.written {
			known = append(known, name)
		}
	}
	s.mu.Unlock()
	if len(known) == 0 {
		return nil
	}
	var pods corev1.PodList
	if err := s.client.List(ctx, &pods, client.MatchingLabels{servingv1.StandbyLabel: servingv1.StandbyAdopted}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing pods that stood by: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range known {
		if !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.Name == name }) {
			s.desk.Dismiss(name)
			delete(s.taken, name)
		}
	}
	return nil
}

// candidate is a configuration that may have a pod that stands by.
type candidate struct {
	configuration *servingv1.Configuration
	revision      *servingv1.Revision // to make it like; nil: there is none yet
	used          time.Time           // when it was edited or called last
}

func (s *standbys) candidates(ctx context.Context) ([]candidate, error) {
	var configurations servingv1.ConfigurationList
	if err := s.client.List(ctx, &configurations, glance); err != nil {
		return nil, fmt.Errorf("listing configurations: %w", err)
	}
	var revisions servingv1.RevisionList
	if err := s.client.List(ctx, &revisions, glance); err != nil {
		return nil, fmt.Errorf("listing revisions: %w", err)
	}
	of := map[types.UID][]*servingv1.Revision{}
	for i := range revisions.Items {
		rev := &revisions.Items[i]
		if owner := metav1.GetControllerOf(rev); owner != nil {
			of[owner.UID] = append(of[owner.UID], rev)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []candidate
	there := map[types.NamespacedName]bool{}
	for i := range configurations.Items {
		c := &configurations.Items[i]
		if !c.DeletionTimestamp.IsZero() {
			continue
		}
		one := candidate{configuration: c, revision: standFor(c, of[c.UID])}
		for _, rev := range of[c.UID] {
			key := client.ObjectKeyFromObject(rev)
			there[key] = true
			one.used = latest(one.used, rev.CreationTimestamp.Time, s.called[key])
		}
		all = append(all, one)
	}
	for key := range s.called {
		if !there[key] {
			delete(s.called, key)
		}
	}
	return all, nil
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// standFor is the revision that the next one of c will be most like: the latest
// one, once c says that it is ready and everybody has been told, or the one
// before, once it is known not to be. While neither is so there is none.
func standFor(c *servingv1.Configuration, revisions []*servingv1.Revision) *servingv1.Revision {
	find := func(name string) *servingv1.Revision {
		i := slices.IndexFunc(revisions, func(r *servingv1.Revision) bool { return r.Name == name })
		if i < 0 {
			return nil
		}
		return revisions[i]
	}
	newest := find(desired.RevisionName(c))
	switch {
	case newest == nil || !newest.DeletionTimestamp.IsZero():
		return nil
	case newest.IsReady() && c.Status.LatestReadyRevisionName == newest.Name:
		return newest
	case newest.IsFailed():
		return find(c.Status.LatestReadyRevisionName)
	}
	return nil
}

// choose says which configurations are to have a pod that stands by: the most
// that there may be, of those that were edited or called within life, the latest
// first. It returns when the next of them has had its time.
func choose(all []candidate, most int, life time.Duration, now time.Time) (chosen []candidate, next time.Duration) {
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.configuration.Name, b.configuration.Name))
	})
	for _, c := range all {
		left := c.used.Add(life).Sub(now)
		if len(chosen) == most || left <= 0 {
			break
		}
		chosen, next = append(chosen, c), soonest(next, left)
	}
	return chosen, next
}

// drop deletes those that are of no use: of a configuration that is to have none
// (any more), that have not begun to wait in time, or do not wait any more.
func (s *standbys) drop(ctx context.Context, chosen []candidate, now time.Time) (again time.Duration) {
	var gone []*kept
	s.mu.Lock()
	for key, k := range s.kept {
		state := s.desk.Of(k.pod.Name)
		wanted := slices.ContainsFunc(chosen, func(c candidate) bool { return c.configuration.UID == k.owner })
		late := k.made.Add(standbyStart).Sub(now)
		switch {
		case wanted && state.Waits:
			k.waited = true
			s.tries.Reset(string(k.owner))
			continue
		case wanted && !k.waited && !state.Stale && state.Failed == "" && late > 0:
			again = soonest(again, late)
			continue
		case wanted && !k.waited:
			s.words[k.owner] = "no pod stands by: " + cmp.Or(state.Failed, fmt.Sprintf("pod %s did not begin to wait", k.pod.Name))
			s.tries.Next(string(k.owner), now)
		}
		delete(s.kept, key)
		gone = append(gone, k)
	}
	s.mu.Unlock()
	s.discard(ctx, gone)
	return again
}

// discard deletes pods that stand by.
func (s *standbys) discard(ctx context.Context, gone []*kept) {
	var pods []*corev1.Pod
	for _, k := range gone {
		s.desk.Dismiss(k.pod.Name)
		s.mu.Lock()
		delete(s.taken, k.pod.Name)
		s.mu.Unlock()
		pods = append(pods, k.pod)
	}
	if err := removePods(ctx, s.direct, pods, nobodyAsked); err != nil {
		// The next controller deletes it, and whoever deletes its configuration.
		log.FromContext(ctx).Info("a pod that stood by is left over", "error", err.Error())
	}
}

// keep makes the pod that stands by for a configuration, if it has none and may
// have one. It returns when to try again.
func (s *standbys) keep(ctx context.Context, c candidate) (time.Duration, error) {
	key := client.ObjectKeyFromObject(c.configuration)
	id := string(c.configuration.UID)
	s.mu.Lock()
	_, has := s.kept[key]
	s.mu.Unlock()
	now := time.Now()
	switch {
	case has, c.revision == nil:
		return 0, nil
	case s.tries.IsInBackOffSinceUpdate(id, now):
		return s.tries.Get(id), nil
	}
	k, why, err := s.make(ctx, c)
	if err != nil {
		s.tries.Next(id, now)
		s.tell(c, "no pod stands by: "+err.Error())
		return s.tries.Get(id), nil
	}
	if why != "" {
		why = "no pod stands by: " + why
	}
	s.tell(c, why)
	if k == nil {
		return 0, nil
	}
	return standbyStart, nil
}

// make makes a pod that stands by for pods like those of c's revision, or says
// why none can.
func (s *standbys) make(ctx context.Context, c candidate) (_ *kept, why string, err error) {
	template, why, err := s.template(ctx, c.revision)
	if why != "" || err != nil {
		return nil, why, err
	}
	image := desired.UserImage(template)
	facts, err := s.images.of(ctx, image)
	if err != nil {
		return nil, "", err
	}
	uid, gid, err := desired.Owner(template, facts)
	if err != nil {
		return nil, err.Error(), nil
	}
	composed, err := s.images.compose(ctx, image, uid, gid)
	if err != nil {
		return nil, "", err
	}
	sources, err := s.versions(ctx, template)
	if err != nil {
		return nil, "", err
	}
	token := standby.NewToken()
	pod := desired.StandbyPod(template, c.configuration, desired.Waiting{Image: composed, URL: s.url, Token: token})
	pod.Name = pod.GenerateName + utilrand.String(5)
	k := &kept{pod: pod, owner: c.configuration.UID, revision: c.revision.UID, template: template, image: facts, sources: sources, made: time.Now()}
	waiting := map[string][]standby.Layer{}
	for _, container := range pod.Spec.Containers {
		waiting[container.Name] = nil
		if container.Name != servingv1.QueueContainer {
			waiting[container.Name] = facts.Layers
		}
	}
	s.desk.Admit(pod.Name, token, waiting)
	if err := s.direct.Create(ctx, pod, fieldOwner); err != nil {
		s.desk.Dismiss(pod.Name)
		return nil, "", fmt.Errorf("creating a pod that stands by: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[client.ObjectKeyFromObject(c.configuration)] = k
	return k, "", nil
}

// versions are those of the ConfigMaps and Secrets from which a pod has values,
// "" of one that is not there.
func (s *standbys) versions(ctx context.Context, pod *corev1.Pod) (map[desired.Source]string, error) {
	found := map[desired.Source]string{}
	for _, source := range desired.Sources(pod) {
		object := metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(source.Kind))
		err := s.direct.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: source.Name}, &object)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading %s: %w", source, err)
		}
		found[source] = object.ResourceVersion
	}
	return found, nil
}

// template is the pod that rev asks for now, or why none can stand by for it.
func (s *standbys) template(ctx context.Context, rev *servingv1.Revision) (_ *corev1.Pod, why string, err error) {
	var namespace corev1.Namespace
	if err := s.client.Get(ctx, client.ObjectKey{Name: rev.Namespace}, &namespace, glance); err != nil {
		return nil, "", fmt.Errorf("reading namespace %s: %w", rev.Namespace, err)
	}
	if why, err = s.shared(ctx); why != "" || err != nil {
		return nil, why, err
	}
	node, err := s.fleet.node(ctx, rev)
	if err != nil {
		return nil, "", err
	}
	queue, err := s.fleet.sidecar(ctx)
	if err != nil {
		return nil, "", err
	}
	pod := desired.Pod(rev, queue, desired.Place{Node: node, Mesh: desired.InMesh(namespace.Labels)})
	return pod, desired.CannotWait(pod), nil
}

// shared says that pods have no network of their own, where the node chooses
// their ports when they begin, and they may have no root of their own either.
func (s *standbys) shared(ctx context.Context) (string, error) {
	var nodes corev1.NodeList
	if err := s.client.List(ctx, &nodes, glance); err != nil {
		return "", fmt.Errorf("listing nodes: %w", err)
	}
	for i := range nodes.Items {
		if nodes.Items[i].Annotations[servingv1.PodNetworkAnnotation] == servingv1.PodNetworkMachine {
			return "pods share the network of the machine", nil
		}
	}
	return "", nil
}
