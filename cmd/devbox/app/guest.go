package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// guestOf is who deploys to the box's cluster, nil where that is the box's own.
func guestOf(box *bootstrap.Box) *deploy.Guest {
	g := box.Guest
	if g == nil {
		return nil
	}
	return &deploy.Guest{ID: g.ID, Owner: g.Owner, Namespace: g.Namespace, Suffix: g.User, PullSecret: g.PullSecret, Remote: !knowsLocalhost(box)}
}

// archsOf are the architectures of the box's nodes, where they may be others than
// this machine's, which is the first where it is among them.
func archsOf(box *bootstrap.Box) []string {
	if box.Guest == nil {
		return nil
	}
	var archs []string
	for _, p := range box.Guest.Platforms {
		_, arch, _ := strings.Cut(p, "/")
		if arch == runtime.GOARCH {
			archs = slices.Insert(archs, 0, arch)
			continue
		}
		archs = append(archs, arch)
	}
	return archs
}

// plan lists what an up would do to a cluster that is there already.
func (d *devbox) plan(ctx context.Context, config bootstrap.Config, find finder) error {
	targets, _, err := find(ctx)
	if err != nil {
		return ofInput(err)
	}
	want(&config, targets)
	would, box, err := engines().Plan(ctx, config)
	if err != nil {
		return classify(codeCluster, err, d.command("doctor"))
	}
	if box.Guest == nil {
		return ofInput(errors.New("--dry-run is for a cluster that is there already: name it with --context"))
	}
	if targets, err = watcher.AsGuest(targets, guestOf(box), archsOf(box)); err != nil {
		return ofInput(err)
	}
	objects, err := watcher.Objects(targets)
	if err != nil {
		return ofInput(err)
	}
	for _, o := range objects {
		would = append(would, fmt.Sprintf("apply %s in namespace %s", o, box.Guest.Namespace))
	}
	if d.output == jsonFormat {
		return d.printJSON(would)
	}
	fmt.Fprintf(d.stderr, "   as %s, in context %s\n", box.Guest.Owner, box.Guest.Context)
	for _, line := range would {
		fmt.Fprintln(d.stdout, line)
	}
	return nil
}

// want says in config what the targets will need of a box.
func want(config *bootstrap.Config, targets []watcher.Target) {
	for _, t := range targets {
		if t.Service != nil { // manifests name theirs themselves
			config.Namespaces = append(config.Namespaces, t.Namespace)
			config.Services = append(config.Services, t.Name)
		}
	}
}

// registryOf is where images for the box go.
func registryOf(box *bootstrap.Box) push.Registry {
	if box.Guest != nil {
		return push.User(box.Registry())
	}
	return push.Box(box.Registry())
}

// open holds the way to the gateway open until ctx ends, where it is open only
// while somebody does, and nobody does.
func (c *cluster) open(ctx context.Context) error {
	if c.box.Guest == nil || !nobodyListens(ctx, c.box.Gateway()) {
		return nil
	}
	return classify(codeCluster, c.box.Open(ctx), c.d.command("up"))
}

// isHere says whether the gateway is at an address of this machine's own, where
// a browser finds every name in localhost.
func isHere(gateway string) bool {
	u, err := url.Parse(gateway)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// knowsLocalhost says whether names in localhost lead to the box's services: the
// gateway is on this machine, and what serves behind it takes them.
func knowsLocalhost(box *bootstrap.Box) bool {
	return isHere(box.Gateway()) && (box.Guest == nil || !box.Guest.Upstream)
}

// guestParts are the nodes of a cluster, where the user may list them: what else
// is in it is not the box's.
func (c *cluster) guestParts(ctx context.Context) []partStatus {
	var nodes corev1.NodeList
	parts := []partStatus{}
	if err := c.client.List(ctx, &nodes); err != nil {
		return parts
	}
	for i := range nodes.Items {
		parts = append(parts, nodeStatus(&nodes.Items[i]))
	}
	return parts
}
