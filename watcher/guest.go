package watcher

import (
	"fmt"

	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// AsGuest are the targets as a guest of a cluster deploys them. It is an error
// where their files ask for what a guest may not have.
func AsGuest(targets []Target, guest *deploy.Guest) ([]Target, error) {
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
		s := t.Service.DeepCopy()
		if err := guest.Adapt(s); err != nil {
			return nil, fmt.Errorf("%s: %w", short(t.ManifestPath), err)
		}
		t.Service, t.Name = s, s.Name
		all = append(all, t)
	}
	return all, nil
}
