package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/charts"
)

// Observability is the word for the parts that watch a box: Prometheus, Zipkin
// and Grafana.
const Observability = "observability"

// WatchNamespace is where those parts run. charts/istio knows Zipkin there.
const WatchNamespace = "devbox-observability"

// ours is the label of what devbox made in a cluster without a chart.
const (
	oursKey   = "app.kubernetes.io/managed-by"
	oursValue = "devbox"
)

// Address is where a part that watches the box answers, by its name.
func (b *Box) Address(part string) string {
	return fmt.Sprintf("http://%s.localhost:%d", part, b.HTTPPort)
}

// addresses are those of all such parts that the box has.
func (b *Box) addresses() string {
	all := make([]string, len(b.Observability))
	for i, part := range b.Observability {
		all[i] = b.Address(string(part))
	}
	return strings.Join(all, " ")
}

// wantsWatch says whether the box is to be watched: as it is asked for, and
// else as it was before.
func wantsWatch(cfg Config, box *Box) bool {
	if slices.Contains(cfg.Without, Observability) {
		return false
	}
	return slices.Contains(cfg.With, Observability) || len(box.Observability) > 0
}

// instead is what there is without the parts that watch a box.
const instead = "`devbox ui` shows the same panels from the box's own numbers, without them"

// watch settles which parts will watch the box: those whose images can be had.
// Without one the box comes up all the same.
func (s *survey) watch(ctx context.Context, cfg Config) {
	if !wantsWatch(cfg, s.box) {
		return
	}
	if s.there && len(s.box.Observability) > 0 && cfg.ImagesDir == "" && len(cfg.With) == 0 {
		s.parts = s.box.Observability // as they were made
		return
	}
	set, err := s.box.Images.Complete()
	if err != nil {
		s.add(Observability, Fail, err.Error(), "give the directory again with --images, or use --without "+Observability)
		return
	}
	var missing []string
	for _, r := range images.Observability {
		if set.Ref(r) == "" {
			missing = append(missing, string(r))
			continue
		}
		s.parts = append(s.parts, r)
	}
	switch {
	case len(s.parts) == 0:
		s.add(Observability, Warn, fmt.Sprintf("no image of %s in %s", strings.Join(missing, ", "), set.Layout),
			instead+"; `make lab` in devbox's source makes a directory that has two of them")
		return
	case len(missing) > 0:
		s.add(Observability, Warn, fmt.Sprintf("no image of %s in %s", strings.Join(missing, ", "), set.Layout), instead)
	}
	if set.Layout == "" && !slices.Equal(s.parts, s.box.Observability) && !s.reachWatch(ctx, set) {
		s.parts = nil
		return
	}
	s.box.Images = set
	s.add(Observability, OK, "with "+joinRoles(s.parts), "")
}

// reachWatch looks whether the registries of the parts' images answer.
func (s *survey) reachWatch(ctx context.Context, set images.Set) bool {
	refs := make([]string, len(s.parts))
	for i, r := range s.parts {
		refs[i] = set.Ref(r)
	}
	err := images.Reachable(ctx, http.DefaultTransport, refs...)
	if err != nil {
		s.add(Observability, Warn, fmt.Sprintf("%s cannot be fetched: %v", joinRoles(s.parts), err), instead)
	}
	return err == nil
}

// watchEmbedded says what an embedded box has in place of the parts.
func (s *survey) watchEmbedded(cfg Config) {
	if slices.Contains(cfg.With, Observability) {
		s.add(Observability, Warn, "the embedded engine runs no Prometheus, Zipkin or Grafana", instead)
	}
}

func joinRoles(roles []images.Role) string {
	said := make([]string, len(roles))
	for i, r := range roles {
		said[i] = string(r)
	}
	return strings.Join(said, ", ")
}

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
	return u.box.save()
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
	if err := u.claimNamespace(ctx); err != nil {
		return "", err
	}
	files, err := fs.Sub(charts.Observability, "observability")
	if err != nil {
		return "", err
	}
	say("installing " + joinRoles(u.parts))
	if err := u.servingIn.wait(ctx); err != nil { // its image, and the Gateway
		return "", err
	}
	refs := map[string]any{"serving": u.stack.serving}
	for _, r := range u.parts {
		refs[string(r)] = u.box.Images.Ref(r)
	}
	if _, err := u.helm.Apply(ctx, helm.Release{
		Name: Observability, Namespace: WatchNamespace, Chart: files,
		Values: map[string]any{"images": refs, "port": u.box.HTTPPort},
	}); err != nil {
		return "", err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range u.parts {
		g.Go(func() error { return awaitDeployment(ctx, u.clients, WatchNamespace, string(r)) })
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return u.box.addresses(), nil
}

// importParts puts the parts' images into the node.
func (u *up) importParts(ctx context.Context, say func(string)) error {
	present, err := images.Present(ctx, u.kind)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range u.parts {
		g.Go(func() error {
			say(u.box.Images.Ref(r))
			_, err := u.box.Images.Provide(ctx, u.kind, r, present)
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
		"zipkin-endpoint": "http://zipkin." + WatchNamespace + ".svc.cluster.local:9411/api/v2/spans",
		"sample-rate":     "1",
	}
}

// claimNamespace makes the parts' namespace, once one of before is gone. One of
// somebody else's is left alone: what is in it could bear the same names.
func (u *up) claimNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, deployTimeout, fmt.Errorf("namespace %s is not gone in %s", WatchNamespace, deployTimeout))
	defer cancel()
	namespaces := u.clients.CoreV1().Namespaces()
	foreign := false
	err := poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		_, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: WatchNamespace, Labels: map[string]string{oursKey: oursValue},
		}}, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		there, err := namespaces.Get(ctx, WatchNamespace, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if there.DeletionTimestamp != nil {
			return errors.New("it is being removed")
		}
		if there.Labels[oursKey] != oursValue {
			foreign = true
		}
		return nil
	})
	if foreign {
		return errForeign
	}
	return err
}

// errForeign says that somebody else uses the parts' namespace.
var errForeign = &ClusterError{
	Step: Observability,
	Err:  errors.New("namespace " + WatchNamespace + " is there, and devbox did not make it"),
	Hint: "remove it, or `devbox up --without " + Observability + "`",
}

// unwatch takes the parts away, and with them the gateway's tracing.
func (u *up) unwatch(ctx context.Context, say func(string)) (string, error) {
	say("removing " + joinRoles(u.box.Observability))
	if err := u.helm.Remove(ctx, Observability, WatchNamespace); err != nil {
		return "", err
	}
	if err := u.releaseNamespace(ctx); err != nil {
		return "", err
	}
	u.box.Observability = nil
	return "removed", u.box.save()
}

// releaseNamespace removes the parts' namespace if devbox made it.
func (u *up) releaseNamespace(ctx context.Context) error {
	namespaces := u.clients.CoreV1().Namespaces()
	there, err := namespaces.Get(ctx, WatchNamespace, metav1.GetOptions{})
	if err == nil && there.Labels[oursKey] == oursValue {
		err = namespaces.Delete(ctx, WatchNamespace, metav1.DeleteOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
