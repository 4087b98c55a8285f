package kind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/rollout"
	"github.com/kind-in-a-box/devbox/charts"
	"github.com/kind-in-a-box/devbox/charts/istio"
	"github.com/kind-in-a-box/devbox/internal/push"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// istioKinds are the kinds of Istio's that the serving stack writes.
var istioKinds = []schema.GroupVersionResource{
	{Group: "networking.istio.io", Version: "v1", Resource: "gateways"},
	{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
	{Group: "networking.istio.io", Version: "v1", Resource: "destinationrules"},
	{Group: "networking.istio.io", Version: "v1", Resource: "sidecars"},
	{Group: "networking.istio.io", Version: "v1alpha3", Resource: "envoyfilters"},
	peerAuthentications,
}

// stack is the names of the serving stack's images in the node.
type stack struct {
	serving, queue string
	content        v1.Image // of queue
}

// standbyRepository is where the box's registry has queue-proxy, whose program
// waits in pods that stand by.
const standbyRepository = "devbox/queue"

// importIstio puts Istio's images into the node while its control plane
// starts, and opens istioIn.
func (u *up) importIstio(ctx context.Context, say func(string)) (string, error) {
	present, err := images.Present(ctx, u.node)
	if err != nil {
		return "", err
	}
	var brought atomic.Int32
	g, ctx := errgroup.WithContext(ctx)
	for _, role := range []images.Role{images.Pilot, images.Proxy} {
		g.Go(func() error {
			was, err := u.box.Images.Provide(ctx, u.node, role, present)
			if was {
				brought.Add(1)
				say(u.box.Images.Ref(role))
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	u.istioIn.Open()
	if brought.Load() == 0 {
		return "Istio's are in the node", nil
	}
	return "Istio's put into the node", nil
}

// istio installs Istio: its kinds beside istiod, the gateway once istiod can
// fill in its pod. It opens kindsIn.
func (u *up) istio(ctx context.Context, say func(string)) (string, error) {
	all, err := istio.Charts(istio.Options{
		Pilot:         u.box.Images.Ref(images.Pilot),
		Proxy:         u.box.Images.Ref(images.Proxy),
		UpstreamEnvoy: u.box.Images.UpstreamEnvoy,
	})
	if err != nil {
		return "", err
	}
	base, istiod, gateway := all[0], all[1], all[2]
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		say("installing Istio's kinds")
		if err := u.apply(ctx, base); err != nil {
			return err
		}
		if err := u.helm.AwaitKinds(ctx, istioKinds...); err != nil {
			return err
		}
		u.kindsIn.Open()
		return nil
	})
	g.Go(func() error { return u.openDNS(ctx) })
	g.Go(func() error {
		if err := u.istioIn.Wait(ctx); err != nil {
			return err
		}
		if err := u.awaitProxy(ctx); err != nil {
			return err
		}
		for _, c := range []istio.Chart{istiod, gateway} {
			say("installing " + c.Release)
			if err := u.apply(ctx, c); err != nil {
				return err
			}
			say("waiting for " + c.Release)
			if err := rollout.Await(ctx, u.clients, istio.Namespace, c.Release); err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return "", err
	}
	return "base, istiod, gateway " + u.box.Images.Istio, nil
}

// openDNS lets the cluster's DNS be asked from the moment it listens. kubelet
// looks only every ten seconds whether it is ready, and the gateway, whose
// first question is where istiod is, would wait for that.
func (u *up) openDNS(ctx context.Context) error {
	patch := []byte(`{"spec":{"publishNotReadyAddresses":true}}`)
	return bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		_, err := u.clients.CoreV1().Services(metav1.NamespaceSystem).Patch(ctx, "kube-dns", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err // until kubeadm has made it
	})
}

// awaitProxy waits until Services can be reached in the node. A pod that
// starts before runs into the void, and backs off for longer than this takes.
func (u *up) awaitProxy(ctx context.Context) error {
	return bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		d, err := u.clients.AppsV1().DaemonSets(metav1.NamespaceSystem).Get(ctx, "kube-proxy", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.NumberReady == 0 {
			return errors.New("kube-proxy is not ready")
		}
		return nil
	})
}

func (u *up) apply(ctx context.Context, c istio.Chart) error {
	_, err := u.helm.Apply(ctx, helm.Release{Name: c.Release, Namespace: istio.Namespace, Chart: c.Files, Values: c.Values, Adjust: c.Adjust})
	return err
}

// platform builds the serving stack's images, puts them into the node, and
// opens stackIn.
func (u *up) platform(ctx context.Context, say func(string)) (string, error) {
	say("building the serving stack")
	built, err := u.Platform(ctx)
	if err != nil {
		return "", err
	}
	if err := u.nodeUp.Wait(ctx); err != nil {
		return "", err
	}
	u.stack.content = built.Queue
	present, err := images.Present(ctx, u.node)
	if err != nil {
		return "", err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, i := range []struct {
		repository string
		content    v1.Image
		ref        *string
	}{
		{"devbox.local/serving", built.Serving, &u.stack.serving},
		{"devbox.local/queue", built.Queue, &u.stack.queue},
	} {
		g.Go(func() error {
			digest, err := i.content.Digest()
			if err != nil {
				return fmt.Errorf("reading image %s: %w", i.repository, err)
			}
			*i.ref = images.LocalRef(i.repository, "", digest)
			if present[*i.ref] {
				return nil
			}
			return images.Import(ctx, u.node, *i.ref, i.content)
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	u.stackIn.Open()
	return "serving stack built and in the node", nil
}

// serving installs the serving stack and waits until the box answers.
func (u *up) serving(ctx context.Context, say func(string)) (string, error) {
	if err := u.stackIn.Wait(ctx); err != nil {
		return "", err
	}
	if err := u.awaitProxy(ctx); err != nil {
		return "", err
	}
	files, err := fs.Sub(charts.Serving, "serving")
	if err != nil {
		return "", err
	}
	digest, err := u.stack.content.Digest()
	if err != nil {
		return "", fmt.Errorf("reading the image of queue-proxy: %w", err)
	}
	say("installing the serving stack")
	_, err = u.helm.Apply(ctx, helm.Release{
		Name:      "serving",
		Namespace: servingv1.Namespace,
		Chart:     files,
		Values: map[string]any{
			"image":        u.stack.serving,
			"queueImage":   u.stack.queue,
			"domain":       u.box.Domain,
			"registryPort": u.box.RegistryPort,
			"tracing":      u.tracing(),
			"mesh":         map[string]any{"mtls": u.mtls()},

			"standbyProgram": fmt.Sprintf("%s/%s@%s", u.box.Registry(), standbyRepository, digest),
		},
	})
	if err != nil {
		return "", err
	}
	u.servingIn.Open()
	say("waiting for the box to answer")
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range []string{"controller", "activator"} {
		g.Go(func() error { return rollout.Await(ctx, u.clients, servingv1.Namespace, d) })
	}
	g.Go(func() error {
		if err := rollout.Await(ctx, u.clients, servingv1.Namespace, "registry"); err != nil {
			return err
		}
		_, err := push.Box(u.box.Registry()).Image(ctx, standbyRepository, u.stack.content)
		return err
	})
	g.Go(func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, rollout.Timeout, fmt.Errorf("no answer in %s", rollout.Timeout))
		defer cancel()
		return bootstrap.AwaitAnswers(ctx, u.box)
	})
	if err := g.Wait(); err != nil {
		return "", err
	}
	u.answersIn.Open()
	return "controller, activator, registry", nil
}
