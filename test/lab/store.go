package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"
)

// storeConfig is of a containerd that only keeps images. The plug-ins that
// would run containers, or write outside its root, are off.
const storeConfig = `version = 3
root = %q
state = %q
disabled_plugins = [
  "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt", "io.containerd.internal.v1.restart", "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs",
]
[grpc]
  address = %q
[ttrpc]
  address = %q
`

// imageStore imports a layout of images into a containerd that runs for this
// alone, and returns its store as the node will find it under
// /var/lib/containerd.
func imageStore(ctx context.Context, b *bench, containerd, images *artefact) (*tree, error) {
	// A socket's path has room for 108 bytes, which a cache directory may exceed.
	state, err := os.MkdirTemp("", "devbox-lab-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(state)
	root, socket := filepath.Join(b.scratch, "containerd"), filepath.Join(state, "s")
	archive, config := filepath.Join(b.scratch, "images.tar"), filepath.Join(b.scratch, "containerd.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, storeConfig, root, state, socket, socket+".ttrpc"), 0o644); err != nil {
		return nil, err
	}
	layout := newTree()
	if err := layout.addDir("/", images.dir, 0o644); err != nil {
		return nil, err
	}
	if err := layout.writeFile(archive); err != nil {
		return nil, err
	}
	if err := importImages(ctx, b, containerd, config, socket, archive); err != nil {
		return nil, err
	}
	store := newTree()
	for _, part := range []string{"io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt"} {
		if err := store.addDir(path.Join("/var/lib/containerd", part), filepath.Join(root, part), 0o600); err != nil {
			return nil, err
		}
	}
	return store, nil
}

// importImages starts the containerd, imports the archive and stops it again.
func importImages(ctx context.Context, b *bench, containerd *artefact, config, socket, archive string) (err error) {
	daemon := b.command(ctx, containerd.path("containerd"), "--config", config)
	if err := daemon.Start(); err != nil {
		return err
	}
	defer func() {
		// Ended in order, it has written all of its database.
		signalled := daemon.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, signalled, daemon.Wait())
	}()
	ctr := func(args ...string) error {
		return b.run(b.command(ctx, containerd.path("ctr"), append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...))
	}
	if err := waitFor(ctx, 30*time.Second, func() error { return ctr("version") }); err != nil {
		return fmt.Errorf("waiting for containerd: %w", err)
	}
	return ctr("images", "import", "--label=io.cri-containerd.pinned=pinned", "--all-platforms", "--no-unpack", "--digests", archive)
}
