package runner

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
)

// parallel is how many layers of an image come at a time.
const parallel = 3

// again is how a registry that does not answer is asked again: for less than
// half a second, because the caller knows better whether there is a point.
var again = remote.Backoff{Duration: 100 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 3}

// source is where an image comes from.
type source struct {
	name   name.Reference
	puller *remote.Puller
}

// source finds out where to get what a reference names.
func (r *Runner) source(parsed name.Reference, auth authn.Keychain) (source, error) {
	options := []remote.Option{
		remote.WithTransport(r.transport),
		remote.WithRetryBackoff(again),
		remote.WithPlatform(v1.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}),
	}
	if auth != nil {
		options = append(options, remote.WithAuthFromKeychain(auth))
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return source{}, fmt.Errorf("preparing to pull %s: %w", parsed, err)
	}
	return source{name: parsed, puller: puller}, nil
}

// parse reads a reference. A registry on this machine is asked without
// encryption.
func parse(ref string) (name.Reference, error) {
	parsed, err := name.ParseReference(ref)
	if err == nil && loopback(parsed.Context().RegistryStr()) {
		parsed, err = name.ParseReference(ref, name.Insecure)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the image reference %q: %w", ref, err)
	}
	return parsed, nil
}

// loopback says whether a registry is on this machine.
func loopback(registry string) bool {
	host := registry
	if h, _, err := net.SplitHostPort(registry); err == nil {
		host = h
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// known returns the digest that the reference stands for, as far as that can
// be told without its registry.
func (r *Runner) known(ref name.Reference) (digest v1.Hash, ok bool) {
	if named, byDigest := ref.(name.Digest); byDigest {
		digest, err := v1.NewHash(named.DigestStr())
		return digest, err == nil
	}
	return r.store.tagged(ref.Name())
}

// resolve returns the digest that the reference stands for.
func (r *Runner) resolve(ctx context.Context, src source, always bool) (v1.Hash, error) {
	if _, tag := src.name.(name.Tag); !tag || !always {
		if digest, ok := r.known(src.name); ok {
			return digest, nil
		}
	}
	d, err := src.puller.Get(ctx, src.name)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("asking the registry for %s: %w", src.name, err)
	}
	return d.Digest, nil
}

// ensure returns the image that digest names, which the caller holds; it is
// fetched if it is not here.
func (r *Runner) ensure(ctx context.Context, src source, digest v1.Hash) (*imageRecord, error) {
	record := r.store.image(digest)
	if record == nil {
		if err := r.images.do(ctx, digest, func(ctx context.Context) error {
			return r.fetch(ctx, src, digest)
		}); err != nil {
			return nil, fmt.Errorf("pulling %s: %w", src.name, err)
		}
		if record = r.store.image(digest); record == nil {
			return nil, fmt.Errorf("pulling %s: its files were removed from %s", src.name, r.dir)
		}
	}
	if tag, ok := src.name.(name.Tag); ok {
		if err := r.store.tag(tag.Name(), digest); err != nil {
			return nil, err
		}
	}
	return record, nil
}

// fetch brings the image and those of its layers that are not here.
func (r *Runner) fetch(ctx context.Context, src source, digest v1.Hash) error {
	d, err := src.puller.Get(ctx, src.name.Context().Digest(digest.String()))
	if err != nil {
		return fmt.Errorf("fetching the manifest: %w", err)
	}
	image, err := d.Image()
	if err != nil {
		return fmt.Errorf("choosing the image for %s/%s: %w", runtime.GOOS, runtime.GOARCH, err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("fetching the configuration: %w", err)
	}
	record := &imageRecord{Config: config, Layers: order(manifest.Layers)}
	r.store.claim(record.Layers)
	defer r.store.disclaim(record.Layers)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, layer := range record.Layers {
		group.Go(func() error {
			return r.layers.do(ctx, layer, func(ctx context.Context) error { return r.fetchLayer(ctx, src, layer) })
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.store.put(digest, record)
}

// order lists an image's layers, the uppermost first, each once: what a layer
// does the second time hides what it did the first.
func order(layers []v1.Descriptor) []v1.Hash {
	var digests []v1.Hash
	for _, l := range slices.Backward(layers) {
		if !slices.Contains(digests, l.Digest) {
			digests = append(digests, l.Digest)
		}
	}
	return digests
}

// fetchLayer unpacks a layer while it comes.
func (r *Runner) fetchLayer(ctx context.Context, src source, digest v1.Hash) error {
	if r.store.has(digest) {
		return nil
	}
	layer, err := src.puller.Layer(ctx, src.name.Context().Digest(digest.String()))
	if err != nil {
		return fmt.Errorf("fetching layer %s: %w", digest, err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		return fmt.Errorf("fetching layer %s: %w", digest, err)
	}
	defer content.Close()
	if err := r.store.add(digest, content); err != nil {
		return fmt.Errorf("unpacking layer %s: %w", digest, err)
	}
	return nil
}
