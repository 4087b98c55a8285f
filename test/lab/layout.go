package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What `devbox up --images` reads in a layout to know what is in it.
const (
	refAnnotation        = "org.opencontainers.image.ref.name"
	roleAnnotation       = "dev.devbox.role"       // node, istio-pilot, istio-proxy, prometheus or zipkin
	cgroupAnnotation     = "dev.devbox.cgroup"     // v1-ok: the node boots on a host with cgroup v1
	cniAnnotation        = "dev.devbox.cni"        // builtin: the node has its own network configuration
	envoyAnnotation      = "dev.devbox.envoy"      // upstream: Istio must not use its own extensions of Envoy
	kubernetesAnnotation = "dev.devbox.kubernetes" // of the index: the versions inside
	istioAnnotation      = "dev.devbox.istio"
)

// boxParts are the versions and the images of the box.
type boxParts struct {
	kubernetes, istio  string
	node, pilot, proxy *artefact
	prometheus, zipkin *artefact
	postgres           *artefact
}

// boxLayout is what the lab is for: one OCI layout with every image of the box.
func boxLayout(p boxParts) recipe {
	return recipe{
		name:  "layout",
		needs: []*artefact{p.node, p.pilot, p.proxy, p.prometheus, p.zipkin, p.postgres},
		text:  []string{p.kubernetes, p.istio},
		files: []string{"layout.go"},
		build: func(_ context.Context, b *bench) error {
			index := v1.IndexManifest{
				SchemaVersion: 2,
				MediaType:     types.OCIImageIndex,
				Annotations:   map[string]string{kubernetesAnnotation: p.kubernetes, istioAnnotation: p.istio},
			}
			// Istio's charts take one hub and one tag for both images.
			tag := p.istio + "-" + p.istioTag()
			for _, image := range []struct {
				from        *artefact
				annotations map[string]string
			}{
				{p.node, map[string]string{
					refAnnotation: "devbox.local/kind-node:" + p.kubernetes, roleAnnotation: "node",
					cgroupAnnotation: "v1-ok", cniAnnotation: "builtin",
				}},
				{p.pilot, map[string]string{refAnnotation: "devbox.local/istio/pilot:" + tag, roleAnnotation: "istio-pilot"}},
				{p.proxy, map[string]string{
					refAnnotation: "devbox.local/istio/proxyv2:" + tag, roleAnnotation: "istio-proxy",
					envoyAnnotation: "upstream",
				}},
				{p.prometheus, map[string]string{
					refAnnotation: "devbox.local/prometheus:" + suite, roleAnnotation: "prometheus",
				}},
				{p.zipkin, map[string]string{
					refAnnotation: "devbox.local/zipkin:" + zipkinVersion, roleAnnotation: "zipkin",
				}},
				// No part of a box: it stands in for the image that a manifest names.
				{p.postgres, map[string]string{refAnnotation: "docker.io/library/postgres:" + postgresVersion}},
			} {
				descriptor, err := linkImage(b.dir, image.from.dir)
				if err != nil {
					return fmt.Errorf("adding the %s: %w", image.from.name, err)
				}
				descriptor.Annotations, descriptor.ArtifactType = image.annotations, ""
				index.Manifests = append(index.Manifests, descriptor)
			}
			return writeIndex(b.dir, index)
		},
	}
}

// istioTag tells one build of Istio's images from another.
func (p boxParts) istioTag() string {
	sum := sha256.Sum256([]byte(p.pilot.key + p.proxy.key))
	return hex.EncodeToString(sum[:])[:8]
}

// linkImage adds the only image of one layout to another by hard links: the
// blobs are large, and both layouts are finished and lie in one cache.
func linkImage(to, from string) (v1.Descriptor, error) {
	blobs, err := filepath.Glob(filepath.Join(from, "blobs/sha256/*"))
	if err != nil {
		return v1.Descriptor{}, err
	}
	target := filepath.Join(to, "blobs/sha256")
	if err := os.MkdirAll(target, 0o755); err != nil {
		return v1.Descriptor{}, err
	}
	for _, blob := range blobs {
		if err := os.Link(blob, filepath.Join(target, filepath.Base(blob))); err != nil && !os.IsExist(err) {
			return v1.Descriptor{}, err
		}
	}
	data, err := os.ReadFile(filepath.Join(from, "index.json"))
	if err != nil {
		return v1.Descriptor{}, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(data, &index); err != nil {
		return v1.Descriptor{}, err
	}
	if len(index.Manifests) != 1 {
		return v1.Descriptor{}, fmt.Errorf("%s holds %d images, not one", from, len(index.Manifests))
	}
	return index.Manifests[0], nil
}

func writeIndex(dir string, index v1.IndexManifest) error {
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n"), 0o644)
}
