package page

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientcache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/patient"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// settled is how long after a change the page is told, with what else changed.
const settled = 100 * time.Millisecond

// mostRevisions of a service are shown, and those with traffic.
const mostRevisions = 12

// service is a Service as the page shows it.
type service struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	URL       string     `json:"url"` // for a browser on this machine
	Host      string     `json:"host"`
	Ready     string     `json:"ready"` // True, False or Unknown
	Words     string     `json:"words"`
	Pinned    bool       `json:"pinned"` // new revisions get no traffic
	Latest    string     `json:"latest"` // the latest ready revision
	Traffic   []target   `json:"traffic"`
	Revisions []revision `json:"revisions"` // newest first
	Older     int        `json:"older"`     // revisions that are not shown
}

// target is one share of the traffic that was asked for.
type target struct {
	Revision string `json:"revision,omitempty"` // "" is the latest ready one
	Percent  int64  `json:"percent"`
	Tag      string `json:"tag,omitempty"`
}

// revision is a Revision as the page shows it.
type revision struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Ready   string    `json:"ready"`
	Words   string    `json:"words"`
	Percent int64     `json:"percent"` // of the traffic that it has
	Tags    []string  `json:"tags,omitempty"`
	Wanted  int32     `json:"wanted"`
	Answer  int32     `json:"answer"`           // pods that do
	Reason  string    `json:"reason,omitempty"` // the autoscaler's
	Pods    []pod     `json:"pods"`
}

type pod struct {
	Name  string `json:"name"`
	Words string `json:"words"`
}

// watchServices tells the page of Services, Revisions and their pods until ctx
// ends.
func (s *Server) watchServices(ctx context.Context, box Box) error {
	kinds, err := scheme()
	if err != nil {
		return err
	}
	ours, err := labels.NewRequirement(servingv1.ServiceLabel, selection.Exists, nil)
	if err != nil {
		return err
	}
	var in map[string]cache.Config
	if box.Namespace != "" {
		in = map[string]cache.Config{box.Namespace: {}}
	}
	c, err := cache.New(patient.Config(box.REST), cache.Options{
		Scheme:            kinds,
		DefaultNamespaces: in,
		DefaultTransform:  cache.TransformStripManagedFields(),
		ByObject:          map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: labels.NewSelector().Add(*ours)}},
	})
	if err != nil {
		return fmt.Errorf("watching the services: %w", err)
	}
	changed := make(chan struct{}, 1)
	for _, kind := range []client.Object{&servingv1.Service{}, &servingv1.Revision{}, &corev1.Pod{}} {
		if err := ring(ctx, c, kind, changed); err != nil {
			return fmt.Errorf("watching the services: %w", err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.Start(ctx) })
	group.Go(func() error {
		if !c.WaitForCacheSync(ctx) {
			return ctx.Err()
		}
		for {
			found, err := services(ctx, c, box)
			if err != nil {
				return err
			}
			s.hub.put("services", found)
			select {
			case <-changed:
				pause(ctx, settled)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return group.Wait()
}

func scheme() (*runtime.Scheme, error) {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, servingv1.AddToScheme} {
		if err := add(kinds); err != nil {
			return nil, err
		}
	}
	return kinds, nil
}

// ring rings the bell whenever an object of a kind comes, goes or changes.
func ring(ctx context.Context, c cache.Cache, kind client.Object, bell chan<- struct{}) error {
	informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	rings := func(any) {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
	_, err = informer.AddEventHandler(clientcache.ResourceEventHandlerFuncs{
		AddFunc: rings, UpdateFunc: func(_, o any) { rings(o) }, DeleteFunc: rings,
	})
	return err
}

// services are all of the box, by name.
func services(ctx context.Context, c client.Reader, box Box) ([]service, error) {
	var all servingv1.ServiceList
	var revisions servingv1.RevisionList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&all, &revisions, &pods} {
		if err := c.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing the services: %w", err)
		}
	}
	found := []service{}
	for i := range all.Items {
		ksvc := &all.Items[i]
		one := describe(ksvc, box)
		for j := range revisions.Items {
			if rev := &revisions.Items[j]; rev.Namespace == ksvc.Namespace && rev.Labels[servingv1.ServiceLabel] == ksvc.Name {
				one.Revisions = append(one.Revisions, describeRevision(rev, ksvc.Status.Traffic, pods.Items))
			}
		}
		one.cut()
		found = append(found, one)
	}
	slices.SortFunc(found, func(a, b service) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return found, nil
}

// cut sorts the revisions, and leaves out the old ones without traffic.
func (s *service) cut() {
	slices.SortFunc(s.Revisions, func(a, b revision) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.Name, a.Name))
	})
	shown := []revision{}
	for i, r := range s.Revisions {
		if i < mostRevisions || r.Percent > 0 || len(r.Tags) > 0 || r.Answer > 0 {
			shown = append(shown, r)
		}
	}
	s.Revisions, s.Older = shown, len(s.Revisions)-len(shown)
}

func describe(ksvc *servingv1.Service, box Box) service {
	s := service{
		Namespace: ksvc.Namespace, Name: ksvc.Name, Ready: string(corev1.ConditionUnknown), Pinned: true,
		Host: servingv1.ServiceHost(ksvc, "", box.Domain), Latest: ksvc.Status.LatestReadyRevisionName,
		Traffic: []target{}, Revisions: []revision{},
	}
	if host, _ := servingv1.BrowserHost(ksvc); host != "" {
		s.URL = fmt.Sprintf("http://%s:%d", host, box.HTTPPort)
	}
	for _, t := range ksvc.Spec.Traffic {
		one := target{Revision: t.RevisionName, Tag: t.Tag}
		if t.Percent != nil {
			one.Percent = *t.Percent
		}
		if one.Revision == "" && one.Percent > 0 {
			s.Pinned = false
		}
		s.Traffic = append(s.Traffic, one)
	}
	ready := ksvc.Status.Condition(servingv1.ConditionReady)
	if ready != nil {
		s.Ready = string(ready.Status)
	}
	s.Words = serviceWords(ksvc, ready)
	return s
}

// serviceWords says who takes the traffic, and what is wrong if anything is.
func serviceWords(ksvc *servingv1.Service, ready *servingv1.Condition) string {
	var shares []string
	for _, t := range ksvc.Status.Traffic {
		switch {
		case t.Percent == nil || *t.Percent == 0:
		case *t.Percent == 100:
			shares = append(shares, t.RevisionName+" takes all traffic")
		default:
			shares = append(shares, fmt.Sprintf("%s takes %d %%", t.RevisionName, *t.Percent))
		}
	}
	words := strings.Join(shares, ", ")
	switch {
	case ready == nil || ready.Status == corev1.ConditionUnknown && ready.Reason == "":
		return join("; ", words, "getting ready")
	case ready.Status == corev1.ConditionTrue:
		return words
	default:
		return join("; ", why(ready), words)
	}
}

// why is a condition's message, or its reason where it has none.
func why(c *servingv1.Condition) string { return cmp.Or(c.Message, c.Reason, "not known why") }

func join(between string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), between)
}

func describeRevision(rev *servingv1.Revision, traffic []servingv1.TrafficTarget, pods []corev1.Pod) revision {
	r := revision{
		Name: rev.Name, Created: rev.CreationTimestamp.Time, Ready: string(corev1.ConditionUnknown), Pods: []pod{},
		Words: revisionWords(rev), Reason: rev.Status.Annotations[servingv1.ScaleReasonAnnotation],
	}
	if c := rev.Status.Condition(servingv1.ConditionReady); c != nil {
		r.Ready = string(c.Status)
	}
	if n := rev.Status.DesiredReplicas; n != nil {
		r.Wanted = *n
	}
	if n := rev.Status.ActualReplicas; n != nil {
		r.Answer = *n
	}
	for _, t := range traffic {
		if t.RevisionName == rev.Name {
			if t.Percent != nil {
				r.Percent += *t.Percent
			}
			if t.Tag != "" {
				r.Tags = append(r.Tags, t.Tag)
			}
		}
	}
	for i := range pods {
		if p := &pods[i]; p.Namespace == rev.Namespace && p.Labels[servingv1.RevisionLabel] == rev.Name {
			r.Pods = append(r.Pods, pod{p.Name, podWords(p)})
		}
	}
	slices.SortFunc(r.Pods, func(a, b pod) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// revisionWords says in a few words how a revision is.
func revisionWords(rev *servingv1.Revision) string {
	ready, active := rev.Status.Condition(servingv1.ConditionReady), rev.Status.Condition(servingv1.RevisionActive)
	switch {
	case ready == nil:
		return "just made"
	case ready.Status == corev1.ConditionFalse:
		return "failed: " + why(ready)
	case ready.Status == corev1.ConditionUnknown:
		return join(": ", "starting", ready.Message)
	case active != nil && active.Status == corev1.ConditionFalse:
		return "asleep; a request wakes it"
	case active != nil && active.Status == corev1.ConditionUnknown:
		return "waking; its requests wait"
	}
	return "answers"
}

func podWords(p *corev1.Pod) string {
	if !p.DeletionTimestamp.IsZero() {
		return "ending"
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return w.Reason
		}
		if t := c.State.Terminated; t != nil && c.Name != servingv1.QueueContainer {
			return fmt.Sprintf("ended with code %d", t.ExitCode)
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return "ready"
		}
	}
	return cmp.Or(map[corev1.PodPhase]string{corev1.PodRunning: "starting", corev1.PodPending: "pending"}[p.Status.Phase], strings.ToLower(string(p.Status.Phase)), "made")
}
