package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/pullsecrets"
	"github.com/kind-in-a-box/devbox/serving/runner"
)

// pull returns the container's image. It tries until life is done, and then
// returns false.
func (c *container) pull(life context.Context) (*runner.Image, bool) {
	if c.spec.ImagePullPolicy == corev1.PullNever {
		return c.find(life)
	}
	if c.spec.ImagePullPolicy != corev1.PullAlways { // one that is here needs no credentials, and nobody is asked for them
		if image, err := c.pod.node.runner.Find(life, c.spec.Image); err == nil {
			c.noteHere()
			return image, true
		}
	}
	const id = ""
	for {
		began := time.Now()
		image, err := c.tryPull(life)
		if err == nil {
			c.note(reasonPulled, "Successfully pulled image %q in %s. Image size: %d bytes.",
				c.spec.Image, time.Since(began).Round(time.Millisecond), image.Size())
			return image, true
		}
		if life.Err() != nil {
			return nil, false
		}
		words := fmt.Sprintf("failed to pull image %q: %s", c.spec.Image, err)
		c.waiting("ErrImagePull", words)
		c.warn(reasonFailed, "Failed to pull image %q: %s", c.spec.Image, err)
		c.pulls.Next(id, time.Now())
		d := c.pulls.Get(id)
		if refused := new(pullsecrets.RefusedError); errors.As(err, &refused) {
			d = min(d, firstBackOff) // a Secret may be made or mended at any moment
		}
		c.note(reasonBackOff, "Back-off pulling image %q", c.spec.Image)
		if !proxy.Sleep(life, min(d, shown)) {
			return nil, false
		}
		c.waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", c.spec.Image, words))
		if !proxy.Sleep(life, d-min(d, shown)) {
			return nil, false
		}
	}
}

// tryPull pulls the image with the credentials of the pod, as they are now.
func (c *container) tryPull(ctx context.Context) (image *runner.Image, err error) {
	of := c.pod.object
	credentials, err := pullsecrets.Read(ctx, c.pod.node.client.CoreV1(),
		pullsecrets.Pod{Namespace: of.Namespace, Account: of.Spec.ServiceAccountName, Secrets: of.Spec.ImagePullSecrets})
	if err != nil {
		return nil, err
	}
	err = credentials.Try(c.spec.Image, func(auth authn.Keychain) error {
		image, err = c.pod.node.runner.Pull(ctx, c.spec.Image, c.spec.ImagePullPolicy == corev1.PullAlways, auth)
		return err
	})
	return image, err
}

// find is pull for an image that may not be pulled: another pod may bring it.
func (c *container) find(life context.Context) (*runner.Image, bool) {
	for {
		image, err := c.pod.node.runner.Find(life, c.spec.Image)
		if err == nil {
			c.noteHere()
			return image, true
		}
		if life.Err() != nil {
			return nil, false
		}
		reason, words := reasonNeverPull, fmt.Sprintf("Container image %q is not present with pull policy of Never", c.spec.Image)
		if !errors.Is(err, runner.ErrNotHere) {
			reason, words = "InvalidImageName", err.Error()
		}
		c.waiting(reason, words)
		c.warn(reason, "%s", words)
		if !proxy.Sleep(life, firstBackOff) {
			return nil, false
		}
	}
}

func (c *container) noteHere() {
	c.note(reasonPulled, "Container image %q already present on machine", c.spec.Image)
}

// shown is how long a failed pull is told as such before it is told as a wait
// for the next one.
const shown = time.Second

// imageID is the image by its digest, whatever name it was asked for by.
func imageID(image *runner.Image) string {
	digest := image.Digest().String()
	ref, err := name.ParseReference(image.Ref())
	if err != nil {
		return digest
	}
	return ref.Context().Name() + "@" + digest
}
