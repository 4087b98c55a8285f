package controller

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/types"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/pullsecrets"
)

// digestRetry is how long a registry that failed is left alone.
const digestRetry = 5 * time.Second

// digests learns which digest an image's tag points at, so that every pod of
// a revision runs the same image whatever becomes of the tag. Lookups run
// beside the reconciles, which ask again when the bell rings.
type digests struct {
	doorbell
	mirrors map[string]*url.URL // by registry, as the image's reference names it
	pods    func() config.Pods  // which registries are not asked, and how long others are
	secrets pullsecrets.Client  // not of the cache, which would hold every Secret of the cluster
	asked   chan question
	now     func() time.Time

	mu    sync.Mutex
	found map[lookup]found
}

// lookup is one image of one revision.
type lookup struct {
	revision types.NamespacedName
	uid      types.UID
	image    string
}

// question is a lookup, and what its pods may show a registry.
type question struct {
	lookup
	pod pullsecrets.Pod
}

type found struct {
	digest string
	err    error
	at     time.Time // zero while the registry is being asked
}

func newDigests(mirrors map[string]*url.URL, pods func() config.Pods, secrets pullsecrets.Client) *digests {
	return &digests{mirrors: mirrors, pods: pods, secrets: secrets, asked: make(chan question), now: time.Now, found: map[lookup]found{}}
}

// run looks up what is asked for until ctx ends, and waits for its lookups.
func (d *digests) run(ctx context.Context) error {
	var lookups sync.WaitGroup
	defer lookups.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case q := <-d.asked:
			lookups.Go(func() { d.look(ctx, q) })
		}
	}
}

// of names image, of the revision, by digest. It is empty where the image is
// only on the node. Known is false while the registry is being asked.
func (d *digests) of(ctx context.Context, rev *servingv1.Revision, image string) (digest string, known bool, err error) {
	ref, err := name.ParseReference(image, name.WeakValidation)
	if err != nil {
		return "", true, fmt.Errorf("parsing image %q: %w", image, err)
	}
	if ref, ok := ref.(name.Digest); ok {
		return ref.Name(), true, nil
	}
	if d.pods().Unresolved[ref.Context().RegistryStr()] {
		return "", true, nil
	}
	l := lookup{types.NamespacedName{Namespace: rev.Namespace, Name: rev.Name}, rev.UID, image}
	if known, ask := d.known(l); !ask {
		return known.digest, !known.at.IsZero(), known.err
	}
	select {
	case d.asked <- question{l, pullsecrets.Pod{Namespace: rev.Namespace, Account: rev.Spec.ServiceAccountName, Secrets: rev.Spec.ImagePullSecrets}}:
		return "", false, nil
	case <-ctx.Done():
		d.forget(rev.UID)
		return "", false, ctx.Err()
	}
}

// known is what is known of l, and whether the registry is to be asked: for
// the first time, or again a while after it failed.
func (d *digests) known(l lookup) (found, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.found[l]
	if ok && (f.err == nil || d.now().Sub(f.at) < digestRetry) {
		return f, false
	}
	d.found[l] = found{}
	return found{}, true
}

// forget drops what is known of the revision's images, once its status has it.
func (d *digests) forget(rev types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for l := range d.found {
		if l.uid == rev {
			delete(d.found, l)
		}
	}
}

func (d *digests) look(ctx context.Context, q question) {
	ctx, cancel := context.WithTimeout(ctx, d.pods().DigestTimeout)
	defer cancel()
	digest, err := d.head(ctx, q)
	d.mu.Lock()
	d.found[q.lookup] = found{digest, err, d.now()}
	d.mu.Unlock()
	d.ring(q.revision)
}

func (d *digests) head(ctx context.Context, q question) (string, error) {
	ref, err := name.ParseReference(q.image, name.WeakValidation)
	if err != nil {
		return "", fmt.Errorf("parsing image %q: %w", q.image, err)
	}
	from, err := d.mirrored(ref)
	if err != nil {
		return "", err
	}
	credentials, err := pullsecrets.Read(ctx, d.secrets, q.pod)
	if err != nil {
		return "", err
	}
	var desc *v1.Descriptor
	err = credentials.Try(q.image, func(auth authn.Keychain) error {
		desc, err = remote.Head(from, remote.WithContext(ctx), remote.WithAuthFromKeychain(auth))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("resolving image %q to a digest: %w", q.image, err)
	}
	return ref.Context().Digest(desc.Digest.String()).Name(), nil
}

// mirrored is where ref is found from here: a registry that the node and the
// user know as localhost is a Service to the controller.
func (d *digests) mirrored(ref name.Reference) (name.Reference, error) {
	at, ok := d.mirrors[ref.Context().RegistryStr()]
	if !ok {
		return ref, nil
	}
	var opts []name.Option
	if at.Scheme == "http" {
		opts = append(opts, name.Insecure)
	}
	repository, err := name.NewRepository(at.Host+"/"+ref.Context().RepositoryStr(), opts...)
	if err != nil {
		return nil, err
	}
	if _, byDigest := ref.(name.Digest); byDigest {
		return repository.Digest(ref.Identifier()), nil
	}
	return repository.Tag(ref.Identifier()), nil
}
