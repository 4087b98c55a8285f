package deploy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Latest names the latest ready revision in a Split, as kn has it.
const Latest = "@latest"

// Share is a part of a Service's traffic.
type Share struct {
	To      string // a revision, a tag that the Service has, or Latest
	Percent int64
}

// Tag gives a revision, or Latest, a host of its own.
type Tag struct{ To, Name string }

// Split says where the traffic of a Service is to go. What it does not speak of
// stays: the shares where it has none, and the tags that it does not name.
type Split struct {
	Shares []Share // 100 percent in all, or none
	Tags   []Tag   // to give, or to move
	Untag  []string
}

// SplitError says what is wrong with a Split.
type SplitError struct{ words string }

func (e *SplitError) Error() string { return e.words }

// Divide gives the traffic of a Service to revisions as split says, and holds it
// there. What makes no sense is a *SplitError, and any split is ErrNeverReady before
// a revision has been ready; nobody looks whether one is there.
func Divide(ctx context.Context, c client.Client, s *servingv1.Service, split Split) error {
	traffic, err := split.of(s.Spec.Traffic)
	if err != nil {
		return err
	}
	if neverReady(s) {
		return ErrNeverReady
	}
	return pin(ctx, c, s, traffic)
}

// Divided says whether the status of a Service has the traffic where its spec
// wants it, and nowhere else.
func Divided(s *servingv1.Service) bool {
	if len(s.Spec.Traffic) > 0 && len(s.Status.Traffic) != len(s.Spec.Traffic) {
		return false
	}
	for _, want := range s.Spec.Traffic {
		if !slices.ContainsFunc(s.Status.Traffic, func(is servingv1.TrafficTarget) bool {
			return is.Tag == want.Tag && percent(is) == percent(want) && isLatest(is) == isLatest(want) && is.RevisionName == cmp.Or(want.RevisionName, s.Status.LatestReadyRevisionName)
		}) {
			return false
		}
	}
	return true
}

func isLatest(t servingv1.TrafficTarget) bool { return t.LatestRevision != nil && *t.LatestRevision }

// of is the traffic that a split makes of the one before it.
func (s Split) of(before []servingv1.TrafficTarget) ([]servingv1.TrafficTarget, error) {
	if len(before) == 0 {
		before = []servingv1.TrafficTarget{target(Latest, 100)}
	}
	traffic, err := s.tag(slices.Clone(before))
	if err != nil || len(s.Shares) == 0 {
		return traffic, err
	}
	return s.share(traffic)
}

// tag takes tags away, and gives others.
func (s Split) tag(traffic []servingv1.TrafficTarget) ([]servingv1.TrafficTarget, error) {
	for _, name := range s.Untag {
		if !slices.ContainsFunc(traffic, func(t servingv1.TrafficTarget) bool { return t.Tag == name }) {
			return nil, &SplitError{fmt.Sprintf("there is no tag %q: %s", name, tagsIn(traffic))}
		}
		traffic = untag(traffic, name)
	}
	named := map[string]bool{}
	for _, name := range s.Untag {
		named[name] = true
	}
	for _, tag := range s.Tags {
		if named[tag.Name] {
			return nil, &SplitError{fmt.Sprintf("tag %s is given twice, or given and taken away", tag.Name)}
		}
		named[tag.Name] = true
		if wrong := validation.IsDNS1035Label(tag.Name); len(wrong) > 0 {
			return nil, &SplitError{fmt.Sprintf("tag %q cannot begin a host, as a tag does: it has small letters, digits and dashes, a letter first, and no dash last", tag.Name)}
		}
		given := target(tag.To, 0)
		given.Tag = tag.Name
		if !slices.ContainsFunc(traffic, func(t servingv1.TrafficTarget) bool { return t.Tag == tag.Name && t.RevisionName == given.RevisionName }) {
			traffic = append(untag(traffic, tag.Name), given)
		}
	}
	return traffic, nil
}

// untag takes a tag away; the share of who had it stays.
func untag(traffic []servingv1.TrafficTarget, name string) []servingv1.TrafficTarget {
	for i := range traffic {
		if traffic[i].Tag == name {
			traffic[i].Tag = ""
		}
	}
	return slices.DeleteFunc(traffic, func(t servingv1.TrafficTarget) bool { return t.Tag == "" && percent(t) == 0 })
}

func tagsIn(traffic []servingv1.TrafficTarget) string {
	var names []string
	for _, t := range traffic {
		if t.Tag != "" {
			names = append(names, t.Tag)
		}
	}
	if len(names) == 0 {
		return "the service has none"
	}
	return "the service has " + strings.Join(names, ", ")
}

// share gives all of the traffic anew. Tags keep their hosts.
func (s Split) share(traffic []servingv1.TrafficTarget) ([]servingv1.TrafficTarget, error) {
	var all int64
	var shared, tagged []servingv1.TrafficTarget
	for _, t := range traffic {
		if t.Tag != "" {
			t.Percent = new(int64(0))
			tagged = append(tagged, t)
		}
	}
	given := map[string]bool{}
	for _, share := range s.Shares {
		if given[share.To] {
			return nil, &SplitError{share.To + " is given a share twice"}
		}
		if share.Percent < 0 || share.Percent > 100 {
			return nil, &SplitError{fmt.Sprintf("%s is given %d percent: a share is one of 0 to 100", share.To, share.Percent)}
		}
		given[share.To] = true
		all += share.Percent
		if i := slices.IndexFunc(tagged, func(t servingv1.TrafficTarget) bool { return t.Tag == share.To }); i >= 0 {
			tagged[i].Percent = new(share.Percent)
		} else if share.Percent > 0 {
			shared = append(shared, target(share.To, share.Percent))
		}
	}
	if all != 100 {
		return nil, &SplitError{fmt.Sprintf("the shares come to %d percent, and all of the traffic is 100", all)}
	}
	return append(shared, tagged...), nil
}

// target is a share of a revision, or of Latest.
func target(to string, share int64) servingv1.TrafficTarget {
	if to == Latest {
		return servingv1.TrafficTarget{LatestRevision: new(true), Percent: new(share)}
	}
	return servingv1.TrafficTarget{RevisionName: to, LatestRevision: new(false), Percent: new(share)}
}
