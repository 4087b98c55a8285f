package watcher

import (
	"fmt"

	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// AsGuest are the targets as a guest of a cluster, whose nodes have these
// architectures, deploys them. It is an error where their files ask for what a
// guest may not have, or an image that is built already is not for all nodes.
func AsGuest(targets []Target, guest *deploy.Guest, archs []string) ([]Target, error) {
	var all []Target
	for _, t := range targets {
		t.guest, t.Namespace = guest, guest.Namespace
		if t.Service == nil {
			set, err := t.readObjects()
			if err != nil {
				return nil, err
			}
			if guest.Suffix != "" && len(set.Objects) > 0 {
				return nil, fmt.Errorf("%s: --user changes the names of services alone, and %s is none: leave it out, and give a namespace of your own with --namespace",
					short(set.Objects[0].File), set.Objects[0].Title())
			}
			all = append(all, t)
			continue
		}
		if err := t.runsOn(archs); err != nil {
			return nil, err
		}
		s := t.Service.DeepCopy()
		if err := guest.Adapt(s); err != nil {
			return nil, fmt.Errorf("%s: %w", short(t.ManifestPath), err)
		}
		t.Service, t.Name = s, s.Name
		all = append(all, t)
	}
	return all, nil
}

// runsOn says whether an image that is built already is for all architectures.
func (t *Target) runsOn(archs []string) error {
	if t.Image == nil {
		return nil
	}
	config, err := t.Image.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the image of %s: %w", t.Name, err)
	}
	for _, arch := range archs {
		if config.Architecture != "" && arch != config.Architecture {
			return fmt.Errorf("the image of %s is for %s, and the cluster has nodes of %s: build it for those too, from its directory; or leave them out with --platform linux/%s where no pod comes to them",
				t.Name, config.Architecture, arch, config.Architecture)
		}
	}
	return nil
}

// Objects are the titles of the objects that the targets have beside services.
func Objects(targets []Target) ([]string, error) {
	var titles []string
	for _, t := range targets {
		if t.Service != nil {
			continue
		}
		set, err := t.readObjects()
		if err != nil {
			return nil, err
		}
		for _, o := range set.Objects {
			titles = append(titles, o.Title())
		}
	}
	return titles, nil
}
