package runner

import (
	"context"
	"errors"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is an image that is here, and stays until it is released.
type Image struct {
	ref     string
	digest  v1.Hash
	record  *imageRecord
	runner  *Runner
	release sync.Once
}

// Config is what the image says of how it wants to be run. It is shared: do
// not change it.
func (i *Image) Config() *v1.ConfigFile { return i.record.Config }

// Digest is what the reference stood for when it was pulled; of an image for
// many platforms it is the index's.
func (i *Image) Digest() v1.Hash { return i.digest }

// Ref is the reference it was pulled by.
func (i *Image) Ref() string { return i.ref }

// Size is how many bytes the unpacked layers take on disk, shared or not.
func (i *Image) Size() int64 { return i.runner.store.size(i.record.Layers) }

// Release says that the image is needed no longer; a process that runs it
// holds it by itself. A second Release does nothing.
func (i *Image) Release() {
	i.release.Do(func() { i.runner.store.release(i.digest) })
}

// Pull returns the image that ref names: from what is here where ref is a
// digest, or a tag that was seen and always is false; else from its registry,
// which is asked without encryption where it is on this machine. auth may be
// nil. The image stays until it is released. Pulls of one image at a time
// share the work.
func (r *Runner) Pull(ctx context.Context, ref string, always bool, auth authn.Keychain) (*Image, error) {
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	parsed, err := parse(ref)
	if err != nil {
		return nil, err
	}
	src, err := r.source(parsed, auth)
	if err != nil {
		return nil, err
	}
	digest, err := r.resolve(ctx, src, always)
	if err != nil {
		return nil, err
	}
	r.store.hold(digest)
	record, err := r.ensure(ctx, src, digest)
	if err != nil {
		r.store.release(digest)
		return nil, err
	}
	return &Image{ref: ref, digest: digest, record: record, runner: r}, nil
}

// ErrNotHere is what Find answers for an image that would have to be pulled.
var ErrNotHere = errors.New("the image is not on this machine")

// Find returns the image that ref names as Pull does, and asks no registry: a
// tag stands for what it did when it was last pulled.
func (r *Runner) Find(ctx context.Context, ref string) (*Image, error) {
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	parsed, err := parse(ref)
	if err != nil {
		return nil, err
	}
	digest, ok := r.known(parsed)
	if !ok {
		return nil, ErrNotHere
	}
	r.store.hold(digest)
	record := r.store.image(digest)
	if record == nil {
		r.store.release(digest)
		return nil, ErrNotHere
	}
	return &Image{ref: ref, digest: digest, record: record, runner: r}, nil
}

// again is the same image, to be released on its own.
func (i *Image) again() *Image {
	i.runner.store.hold(i.digest)
	return &Image{ref: i.ref, digest: i.digest, record: i.record, runner: i.runner}
}
