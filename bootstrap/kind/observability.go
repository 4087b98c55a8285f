package kind

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/parts"
	"github.com/kind-in-a-box/devbox/bootstrap/rollout"
)

// noteParts writes down what the box will have before it has it, so that a
// later Up or Down of an interrupted one knows. What is to go is noted as gone
// when it is.
func (u *up) noteParts() error {
	if len(u.parts) == 0 && u.box.Complete {
		return nil
	}
	u.box.Observability = u.parts
	if !u.box.Complete {
		return nil // saved before its cluster is made
	}
	return u.box.Save()
}

// observability installs what watches the box, or takes it away.
func (u *up) observability(ctx context.Context, say func(string)) (string, error) {
	if len(u.parts) == 0 {
		return u.unwatch(ctx, say)
	}
	if err := u.importParts(ctx, say); err != nil {
		return "", err
	}
	if err := u.awaitProxy(ctx); err != nil {
		return "", err
	}
	say("installing " + bootstrap.JoinRoles(u.parts))
	if err := u.servingIn.Wait(ctx); err != nil { // its image, and the Gateway
		return "", err
	}
	refs := map[string]any{"serving": u.stack.serving}
	for _, r := range u.parts {
		refs[string(r)] = u.box.Images.Ref(r)
	}
	if err := parts.Install(ctx, u.clients, u.helm, map[string]any{"images": refs, "port": u.box.HTTPPort}); err != nil {
		return "", err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range u.parts {
		g.Go(func() error { return rollout.Await(ctx, u.clients, bootstrap.WatchNamespace, string(r)) })
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return u.box.Addresses(), nil
}

// importParts puts the parts' images into the node.
func (u *up) importParts(ctx context.Context, say func(string)) error {
	present, err := images.Present(ctx, u.node)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range u.parts {
		g.Go(func() error {
			say(u.box.Images.Ref(r))
			_, err := u.box.Images.Provide(ctx, u.node, r, present)
			return err
		})
	}
	return g.Wait()
}

// tracing is the box's config-tracing. One person's requests are few, and each
// is worth a look: all are traced.
func (u *up) tracing() map[string]any {
	if !slices.Contains(u.parts, images.Zipkin) {
		return map[string]any{"backend": "none"}
	}
	return map[string]any{
		"backend":         "zipkin",
		"zipkin-endpoint": "http://zipkin." + bootstrap.WatchNamespace + ".svc.cluster.local:9411/api/v2/spans",
		"sample-rate":     "1",
	}
}

// unwatch takes the parts away, and with them the gateway's tracing.
func (u *up) unwatch(ctx context.Context, say func(string)) (string, error) {
	say("removing " + bootstrap.JoinRoles(u.box.Observability))
	if err := parts.Remove(ctx, u.clients, u.helm); err != nil {
		return "", err
	}
	u.box.Observability = nil
	return "removed", u.box.Save()
}
