package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/release"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/parts"
	"github.com/kind-in-a-box/devbox/internal/push"
)

// partsTimeout is how long a part may take to answer: Java takes its time on a
// machine that is busy, and an image may have to be fetched.
const partsTimeout = 5 * time.Minute

// settleImages gives s.Box the images that it is asked to have from a
// directory. Only what watches a box is taken from there.
func settleImages(s *bootstrap.Survey) {
	if s.ImagesDir == "" {
		return
	}
	if !s.WantsWatch() {
		s.Add("images", bootstrap.Warn, "the embedded engine takes no images from "+s.ImagesDir+" but those of observability",
			"leave out --images, add --with "+bootstrap.Observability+", or use --engine kind")
		return
	}
	set, err := images.FromLayout(s.ImagesDir)
	if err != nil {
		s.Add("images", bootstrap.Fail, err.Error(), "make it again: `make lab` prints a directory that is complete")
		return
	}
	s.Box.Images = set
}

// observability puts what watches the box into it, or takes it away.
func (u *up) observability(ctx context.Context, say func(string)) (string, error) {
	config, err := u.box.RESTConfig()
	if err != nil {
		return "", err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", fmt.Errorf("connecting to the box: %w", err)
	}
	client, err := helm.New(config)
	if err != nil {
		return "", err
	}
	if len(u.parts) == 0 {
		return u.unwatch(ctx, say, clients, client)
	}
	refs, err := u.bringParts(ctx, say)
	if err != nil {
		return "", err
	}
	say("installing " + bootstrap.JoinRoles(u.parts))
	if err := parts.Install(ctx, clients, client, map[string]any{
		"images": refs, "port": u.box.HTTPPort, "metricsPort": u.box.MetricsPort,
	}); err != nil {
		return "", err
	}
	u.box.Observability = u.parts
	if err := u.box.Save(); err != nil {
		return "", err
	}
	if err := u.retell(ctx, client); err != nil {
		return "", err
	}
	say("waiting for " + bootstrap.JoinRoles(u.parts))
	g, waiting := errgroup.WithContext(ctx)
	for _, r := range u.parts {
		g.Go(func() error { return awaitPart(waiting, clients, string(r)) })
	}
	if err := g.Wait(); err != nil {
		return "", &bootstrap.ClusterError{Step: bootstrap.Observability, Err: err, Hint: "`" + bootstrap.Command(u.box.Name, "up --without "+bootstrap.Observability) + "` goes on without it"}
	}
	return u.box.Addresses(), nil
}

// bringParts puts the parts' images into the box's registry, and returns their
// names. Those that are in a registry in reach are fetched by the node.
func (u *up) bringParts(ctx context.Context, say func(string)) (refs map[string]any, err error) {
	refs = map[string]any{}
	for _, r := range u.parts {
		if u.box.Images.Layout == "" {
			refs[string(r)] = u.box.Images.Ref(r)
			continue
		}
		say(u.box.Images.Ref(r))
		img, err := u.box.Images.Open(r)
		if err != nil {
			return nil, err
		}
		if refs[string(r)], err = push.Box(u.box.Registry()).Image(ctx, "devbox/"+string(r), img); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// unwatch takes the parts away. What traces is told so first.
func (u *up) unwatch(ctx context.Context, say func(string), clients kubernetes.Interface, client *helm.Client) (string, error) {
	say("removing " + bootstrap.JoinRoles(u.box.Observability))
	had := u.box.Observability
	u.box.Observability = nil
	if err := u.retell(ctx, client); err != nil {
		return "", err
	}
	u.box.Observability = had // until they are gone
	if err := parts.Remove(ctx, clients, client); err != nil {
		return "", err
	}
	u.box.Observability = nil
	return "removed", u.box.Save()
}

// retell tells a box that runs whether there is a Zipkin to send traces to.
func (u *up) retell(ctx context.Context, client *helm.Client) error {
	serving, err := release.Serving(u.box)
	if err != nil {
		return err
	}
	_, err = client.Apply(ctx, serving)
	return err
}

// awaitPart waits until the pod of a part answers, and no other of before is
// left. It does not wait for one that never will.
func awaitPart(ctx context.Context, clients kubernetes.Interface, part string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, partsTimeout, fmt.Errorf("it does not answer in %s", partsTimeout))
	defer cancel()
	var never error
	err := bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		list, err := clients.CoreV1().Pods(bootstrap.WatchNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + part})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("there are %d pods of it", len(list.Items))
		}
		pod := &list.Items[0]
		if pod.Status.Phase == corev1.PodFailed {
			never = errors.New(said(pod))
			return nil
		}
		if !ready(pod) {
			return errors.New(said(pod))
		}
		return nil
	})
	if err = errors.Join(never, err); err != nil {
		return fmt.Errorf("waiting for %s: %w", part, err)
	}
	return nil
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// said is what a pod that is not ready says of it.
func said(pod *corev1.Pod) string {
	words := []string{pod.Status.Message}
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil:
			words = append(words, c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.LastTerminationState.Terminated != nil:
			words = append(words, fmt.Sprintf("it ended with code %d: %s", c.LastTerminationState.Terminated.ExitCode, c.LastTerminationState.Terminated.Message))
		}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if len(words) == 0 {
		return "it is not ready"
	}
	return strings.Join(words, ": ")
}
