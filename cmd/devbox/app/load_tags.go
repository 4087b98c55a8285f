package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// ourTag begins the tags that a comparison puts on revisions which have none,
// where a service's name leaves room for it.
const ourTag = "devbox-load-"

// tagsFor are a tag of ours for each of two revisions: with the service's name
// it is one label of a host, which has 63 characters. A service whose name
// leaves no room for ourTag gets the first letters that nobody uses.
func tagsFor(service *servingv1.Service) ([]string, error) {
	room := validation.DNS1035LabelMaxLength - len(servingv1.TaggedName("", service.Name)) - len("-")
	if room > len(ourTag) {
		return []string{ourTag + "a", ourTag + "b"}, nil
	}
	if room < 1 {
		return nil, &problem{code: codeUsage, cause: fmt.Errorf(
			"the name %s has %d characters, and leaves none of a host's %d for the tags by which two revisions are reached", service.Name, len(service.Name), validation.DNS1035LabelMaxLength)}
	}
	var free []string
	for letter := 'a'; letter <= 'z' && len(free) < 2; letter++ {
		if !slices.ContainsFunc(service.Spec.Traffic, func(t servingv1.TrafficTarget) bool { return t.Tag == string(letter) }) {
			free = append(free, string(letter))
		}
	}
	if len(free) < 2 {
		return nil, &problem{code: codeUsage, cause: fmt.Errorf("%s uses every letter as a tag, and its name leaves no room for a longer one", service.Name)}
	}
	return free, nil
}

// reached is how long a new tag may take to lead to its revision.
const reached = 30 * time.Second

// tags are how the revisions of a comparison are reached, without moving
// traffic: each by the host of a tag.
type tags struct {
	c         *cluster
	service   *servingv1.Service
	revisions []string
	names     []string // a tag for each
	ours      []string // those of them that we have added
}

// tag finds a tag of each revision, and gives one to those that have none.
// What a comparison before it has left behind is taken away with it.
func (c *cluster) tag(ctx context.Context, service *servingv1.Service, revisions []string) (*tags, error) {
	t := &tags{c: c, service: service, revisions: revisions}
	for _, name := range revisions {
		if err := c.isReady(ctx, service, name); err != nil {
			return nil, err
		}
		t.names = append(t.names, tagOf(service, name))
	}
	free, err := tagsFor(service)
	if err != nil && slices.Contains(t.names, "") {
		return nil, err
	}
	var missing []servingv1.TrafficTarget
	for i, name := range t.names {
		if name == "" {
			t.names[i] = free[i]
			t.ours = append(t.ours, free[i])
			missing = append(missing, servingv1.TrafficTarget{Tag: t.names[i], RevisionName: revisions[i], LatestRevision: new(false), Percent: new(int64(0))})
		}
	}
	if len(missing) == 0 {
		return t, nil
	}
	if err := t.change(ctx, missing); err != nil {
		return nil, fmt.Errorf("tagging the revisions of %s: %w", service.Name, err)
	}
	return t, nil
}

// isReady refuses what is no revision of a service that answers.
func (c *cluster) isReady(ctx context.Context, service *servingv1.Service, name string) error {
	revision, err := c.revision(ctx, service, name)
	if err != nil {
		return err
	}
	if !revision.IsReady() {
		return &problem{code: codeRollout, cause: fmt.Errorf("revision %s has not been ready", name), next: c.d.command("logs " + service.Name)}
	}
	return nil
}

// tagOf is a tag that a user has given to a revision.
func tagOf(service *servingv1.Service, revision string) string {
	for _, target := range service.Status.Traffic {
		if target.RevisionName == revision && !strings.HasPrefix(target.Tag, ourTag) && target.Tag != "" {
			return target.Tag
		}
	}
	return ""
}

// change makes the tags that are ours those in want, and leaves all others as
// they are.
func (t *tags) change(ctx context.Context, want []servingv1.TrafficTarget) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var service servingv1.Service
		if err := t.c.client.Get(ctx, client.ObjectKeyFromObject(t.service), &service); err != nil {
			return err
		}
		before := service.DeepCopy()
		service.Spec.Traffic = slices.DeleteFunc(service.Spec.Traffic, func(target servingv1.TrafficTarget) bool {
			return strings.HasPrefix(target.Tag, ourTag) || slices.Contains(t.ours, target.Tag)
		})
		service.Spec.Traffic = append(service.Spec.Traffic, want...)
		return t.c.client.Patch(ctx, &service, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner("devbox-load"))
	})
}

// remove takes our tags away again. Where it cannot, it says so: the report is
// out, and the next comparison will.
func (t *tags) remove(ctx context.Context) {
	if len(t.ours) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reached)
	defer cancel()
	if err := t.change(ctx, nil); client.IgnoreNotFound(err) != nil {
		fmt.Fprintf(t.c.d.stderr, "   the tags %s of %s, which take no traffic, are still there: %v\n", strings.Join(t.ours, " and "), t.service.Name, err)
	}
}

// hosts are those of the tags, once each leads to its revision.
func (t *tags) hosts(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, reached)
	defer cancel()
	transport := &http.Transport{} // no proxy: the gateway is on this machine
	defer transport.CloseIdleConnections()
	probe := &http.Client{Transport: transport, Timeout: time.Second}
	var hosts []string
	for i, tag := range t.names {
		var host string
		var last error
		err := wait.PollUntilContextCancel(ctx, lookEvery/4, true, func(ctx context.Context) (bool, error) {
			var now servingv1.Service
			if last = t.c.client.Get(ctx, client.ObjectKeyFromObject(t.service), &now); last == nil {
				host = servingv1.ServiceHost(&now, tag, t.c.box.Domain)
				last = t.c.leads(ctx, probe, host, t.revisions[i], deploy.Settled(&now) && deploy.Divided(&now))
			}
			return last == nil, nil
		})
		if err != nil {
			return nil, classify(codeCluster, fmt.Errorf("waiting for the tag %s: %w", tag, errors.Join(last, context.Cause(ctx))), t.c.d.command("status"))
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// leads says that the gateway leads a host to a revision. Upstream's does not
// name it: in a cluster that was there before, settled is the Service's own word.
func (c *cluster) leads(ctx context.Context, by *http.Client, host, revision string, settled bool) error {
	answer, err := deploy.Ask(ctx, by, c.box.Gateway(), host)
	switch {
	case err != nil:
		return err
	case answer.Revision == revision, c.box.Guest != nil && answer.Upstream && settled:
		return nil
	case answer.Upstream:
		return fmt.Errorf("the Service does not say so yet, nor the gateway to which revision %s leads", host)
	}
	return fmt.Errorf("%s leads to %s", host, cmp.Or(answer.Revision, answer.Status))
}
