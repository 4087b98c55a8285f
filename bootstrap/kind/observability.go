package kind

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

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/charts"
)

// ours is the label of what devbox made in a cluster without a chart.
const (
	oursKey   = "app.kubernetes.io/managed-by"
	oursValue = "devbox"
)

// addresses are those of all parts that watch the box.
func addresses(box *bootstrap.Box) string {
	all := make([]string, len(box.Observability))
	for i, part := range box.Observability {
		all[i] = box.Address(string(part))
	}
	return strings.Join(all, " ")
}

// watch settles which parts will watch the box: those whose images can be had.
// Without one the box comes up all the same.
func (s *survey) watch(ctx context.Context) {
	if !s.WantsWatch() {
		return
	}
	if s.There && len(s.Box.Observability) > 0 && s.ImagesDir == "" && len(s.With) == 0 {
		s.parts = s.Box.Observability // as they were made
		return
	}
	set, err := s.Box.Images.Complete()
	if err != nil {
		s.Add(bootstrap.Observability, bootstrap.Fail, err.Error(), "give the directory again with --images, or use --without "+bootstrap.Observability)
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
		s.Add(bootstrap.Observability, bootstrap.Warn, fmt.Sprintf("no image of %s in %s", strings.Join(missing, ", "), set.Layout),
			bootstrap.Unwatched+"; `make lab` in devbox's source makes a directory that has two of them")
		return
	case len(missing) > 0:
		s.Add(bootstrap.Observability, bootstrap.Warn, fmt.Sprintf("no image of %s in %s", strings.Join(missing, ", "), set.Layout), bootstrap.Unwatched)
	}
	if set.Layout == "" && !slices.Equal(s.parts, s.Box.Observability) && !s.reachWatch(ctx, set) {
		s.parts = nil
		return
	}
	s.Box.Images = set
	s.Add(bootstrap.Observability, bootstrap.OK, "with "+joinRoles(s.parts), "")
}

// reachWatch looks whether the registries of the parts' images answer.
func (s *survey) reachWatch(ctx context.Context, set images.Set) bool {
	refs := make([]string, len(s.parts))
	for i, r := range s.parts {
		refs[i] = set.Ref(r)
	}
	err := images.Reachable(ctx, http.DefaultTransport, refs...)
	if err != nil {
		s.Add(bootstrap.Observability, bootstrap.Warn, fmt.Sprintf("%s cannot be fetched: %v", joinRoles(s.parts), err), bootstrap.Unwatched)
	}
	return err == nil
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
	if err := u.claimNamespace(ctx); err != nil {
		return "", err
	}
	files, err := fs.Sub(charts.Observability, "observability")
	if err != nil {
		return "", err
	}
	say("installing " + joinRoles(u.parts))
	if err := u.servingIn.Wait(ctx); err != nil { // its image, and the Gateway
		return "", err
	}
	refs := map[string]any{"serving": u.stack.serving}
	for _, r := range u.parts {
		refs[string(r)] = u.box.Images.Ref(r)
	}
	if _, err := u.helm.Apply(ctx, helm.Release{
		Name: bootstrap.Observability, Namespace: bootstrap.WatchNamespace, Chart: files,
		Values: map[string]any{"images": refs, "port": u.box.HTTPPort},
	}); err != nil {
		return "", err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range u.parts {
		g.Go(func() error { return awaitDeployment(ctx, u.clients, bootstrap.WatchNamespace, string(r)) })
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return addresses(u.box), nil
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

// claimNamespace makes the parts' namespace, once one of before is gone. One of
// somebody else's is left alone: what is in it could bear the same names.
func (u *up) claimNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, deployTimeout, fmt.Errorf("namespace %s is not gone in %s", bootstrap.WatchNamespace, deployTimeout))
	defer cancel()
	namespaces := u.clients.CoreV1().Namespaces()
	foreign := false
	err := bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		_, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: bootstrap.WatchNamespace, Labels: map[string]string{oursKey: oursValue},
		}}, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		there, err := namespaces.Get(ctx, bootstrap.WatchNamespace, metav1.GetOptions{})
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
var errForeign = &bootstrap.ClusterError{
	Step: bootstrap.Observability,
	Err:  errors.New("namespace " + bootstrap.WatchNamespace + " is there, and devbox did not make it"),
	Hint: "remove it, or `devbox up --without " + bootstrap.Observability + "`",
}

// unwatch takes the parts away, and with them the gateway's tracing.
func (u *up) unwatch(ctx context.Context, say func(string)) (string, error) {
	say("removing " + joinRoles(u.box.Observability))
	if err := u.helm.Remove(ctx, bootstrap.Observability, bootstrap.WatchNamespace); err != nil {
		return "", err
	}
	if err := u.releaseNamespace(ctx); err != nil {
		return "", err
	}
	u.box.Observability = nil
	return "removed", u.box.Save()
}

// releaseNamespace removes the parts' namespace if devbox made it.
func (u *up) releaseNamespace(ctx context.Context) error {
	namespaces := u.clients.CoreV1().Namespaces()
	there, err := namespaces.Get(ctx, bootstrap.WatchNamespace, metav1.GetOptions{})
	if err == nil && there.Labels[oursKey] == oursValue {
		err = namespaces.Delete(ctx, bootstrap.WatchNamespace, metav1.DeleteOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
