package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// backends are what a route's targets name, as far as it exists.
type backends struct {
	configurations map[string]*follow
	revisions      map[string]*servingv1.Revision
}

// follow is a Configuration as a target that follows it sees it.
type follow struct {
	latest    string   // its latest ready revision, if any
	failed    bool     // its latest created revision has failed
	revisions []string // all that there are
}

// has says whether a revision is there and is the Configuration's.
func (f *follow) has(revision string) bool { return slices.Contains(f.revisions, revision) }

// backends reads what route's targets name.
func (r *routes) backends(ctx context.Context, route *servingv1.Route) (backends, error) {
	b := backends{map[string]*follow{}, map[string]*servingv1.Revision{}}
	for _, t := range route.Spec.Traffic {
		var err error
		if t.RevisionName != "" {
			err = r.readRevision(ctx, b, client.ObjectKey{Namespace: route.Namespace, Name: t.RevisionName})
		} else {
			err = r.readConfiguration(ctx, b, client.ObjectKey{Namespace: route.Namespace, Name: t.ConfigurationName})
		}
		if client.IgnoreNotFound(err) != nil {
			return b, err
		}
	}
	return b, nil
}

func (r *routes) readRevision(ctx context.Context, b backends, key client.ObjectKey) error {
	var rev servingv1.Revision
	if err := r.client.Get(ctx, key, &rev, glance); err != nil {
		return fmt.Errorf("reading revision %s: %w", key.Name, err)
	}
	b.revisions[key.Name] = &rev
	return nil
}

func (r *routes) readConfiguration(ctx context.Context, b backends, key client.ObjectKey) error {
	var c servingv1.Configuration
	if err := r.client.Get(ctx, key, &c, glance); err != nil {
		return fmt.Errorf("reading configuration %s: %w", key.Name, err)
	}
	revisions, err := revisionsOf(ctx, r.client, &c)
	if err != nil {
		return err
	}
	f := &follow{latest: latestReady(&c, revisions)}
	for i := range revisions {
		f.revisions = append(f.revisions, revisions[i].Name)
		f.failed = f.failed || revisions[i].Name == c.Status.LatestCreatedRevisionName && revisions[i].IsFailed()
	}
	b.configurations[key.Name] = f
	return nil
}

// assign splits route's traffic over revisions, in its status, and returns when
// it is to be split anew; zero where nothing moves. Traffic moves to another
// latest revision in the course of a duration. While one target has no revision
// that can take its share, the split stays as it was.
func assign(route *servingv1.Route, b backends, hosting desired.Hosting, over time.Duration, now time.Time) (due time.Time, err error) {
	was := courseOf(route)
	var split []servingv1.TrafficTarget
	var goOn []rollout
	for _, t := range route.Spec.Traffic {
		name, problem := b.resolve(t)
		if problem != nil {
			problem(&route.Status)
			return time.Time{}, nil
		}
		target := servingv1.TrafficTarget{
			Tag: t.Tag, RevisionName: name, LatestRevision: new(t.RevisionName == ""), Percent: t.Percent,
		}
		if t.Tag != "" {
			target.URL = desired.URL(route, t.Tag, hosting)
		}
		if t.RevisionName == "" {
			if r := was.next(t, b.configurations[t.ConfigurationName], over, now); r.goesOn() {
				goOn = append(goOn, r)
				split = append(split, older(r)...)
				target.Percent = new(r.Shares[len(r.Shares)-1].Percent)
			}
		}
		split = append(split, target)
	}
	route.Status.Traffic = split
	route.Status.MarkTrafficAssigned()
	return record(route, goOn)
}

// older are the targets of a rollout but its latest: without the tag, whose host
// is the latest revision's.
func older(r rollout) []servingv1.TrafficTarget {
	var targets []servingv1.TrafficTarget
	for _, s := range r.Shares[:len(r.Shares)-1] {
		targets = append(targets, servingv1.TrafficTarget{RevisionName: s.Revision, LatestRevision: new(true), Percent: new(s.Percent)})
	}
	return targets
}

// resolve finds the revision of a target, or says what is wrong with it.
func (b backends) resolve(t servingv1.TrafficTarget) (string, func(*servingv1.RouteStatus)) {
	if t.RevisionName == "" {
		f, ok := b.configurations[t.ConfigurationName]
		switch {
		case !ok:
			return "", func(s *servingv1.RouteStatus) { s.MarkMissingTrafficTarget("Configuration", t.ConfigurationName) }
		case f.latest != "":
			return f.latest, nil
		case f.failed:
			return "", func(s *servingv1.RouteStatus) { s.MarkConfigurationFailed(t.ConfigurationName) }
		}
		return "", func(s *servingv1.RouteStatus) { s.MarkConfigurationNotReady(t.ConfigurationName) }
	}
	rev, ok := b.revisions[t.RevisionName]
	switch {
	case !ok:
		return "", func(s *servingv1.RouteStatus) { s.MarkMissingTrafficTarget("Revision", t.RevisionName) }
	case rev.IsReady():
		return rev.Name, nil
	case rev.IsFailed():
		return "", func(s *servingv1.RouteStatus) { s.MarkRevisionFailed(rev.Name) }
	}
	return "", func(s *servingv1.RouteStatus) { s.MarkRevisionNotReady(rev.Name) }
}
