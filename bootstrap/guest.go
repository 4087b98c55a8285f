package bootstrap

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
)

// Guest is a box in a cluster that was there before, and that others use too:
// one namespace of it, and in that what has the box's label. In a Config it is
// what is asked for, and what is empty there is as it was.
type Guest struct {
	Context    string   `json:"context"`              // of the user's kubeconfig
	Namespace  string   `json:"namespace"`            // the only one that is looked at and written to
	User       string   `json:"user,omitempty"`       // a part of services' names
	Registry   string   `json:"registry"`             // HOST/PATH, for the cluster's nodes as for this machine
	PullSecret string   `json:"pullSecret,omitempty"` // with which nodes take images from there
	Given      string   `json:"given,omitempty"`      // what is said of the way in: a URL, or NAMESPACE/NAME of a Service; "" where it is looked for
	Gateway    string   `json:"gateway,omitempty"`    // the way in, as a URL; "" where a port-forward leads there
	Forward    *Forward `json:"forward,omitempty"`    // where Gateway is ""
	Platforms  []string `json:"platforms,omitempty"`  // linux/ARCH of each kind of node
	Install    bool     `json:"install,omitempty"`    // devbox may put the serving stack there
	Upstream   bool     `json:"upstream,omitempty"`   // the serving stack there is Knative's own

	ID    string `json:"id"`    // the label's value on all that the box makes
	Owner string `json:"owner"` // whose it is, for people
}

// Forward is where a port-forward leads: to a port of one of the gateway's pods.
type Forward struct {
	Namespace string `json:"namespace"`
	Selector  string `json:"selector"` // of the pods' labels
	Port      int    `json:"port"`
}

// Over is what is asked for, with what it leaves open as it was before.
func (g Guest) Over(before *Guest) Guest {
	if before == nil {
		return g
	}
	g.Context = cmp.Or(g.Context, before.Context)
	g.Namespace = cmp.Or(g.Namespace, before.Namespace)
	g.User = cmp.Or(g.User, before.User)
	g.Registry = cmp.Or(g.Registry, before.Registry)
	g.PullSecret = cmp.Or(g.PullSecret, before.PullSecret)
	g.Given = cmp.Or(g.Given, before.Given)
	g.Gateway = before.Gateway
	g.Install = g.Install || before.Install
	if len(g.Platforms) == 0 {
		g.Platforms = before.Platforms
	}
	return g
}

// ServiceName is what a service is called there.
func (g Guest) ServiceName(name string) string {
	if g.User == "" {
		return name
	}
	return name + "-" + g.User
}

// Identify says whose the box of a name is: the same, whenever it is asked on
// this account, so that a box whose folder is lost is found again.
func (g *Guest) Identify(name string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding this machine's name: %w", err)
	}
	account := cmp.Or(os.Getenv("USER"), "somebody")
	if u, err := user.Current(); err == nil {
		account = u.Username
	}
	sum := sha256.Sum256([]byte(account + "\n" + host + "\n" + root + "\n" + name))
	g.ID, g.Owner = hex.EncodeToString(sum[:8]), fmt.Sprintf("box %s of %s@%s", name, account, host)
	return nil
}
