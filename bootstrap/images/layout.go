package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// LayoutError says what is wrong with an images directory.
type LayoutError struct {
	Dir    string
	Faults []string
}

func (e *LayoutError) Error() string {
	return fmt.Sprintf("images directory %s: %s", e.Dir, strings.Join(e.Faults, "; "))
}

// FromLayout reads the OCI layout in dir. It returns a *LayoutError that names
// what is missing where dir is no layout, lacks an image that every box needs,
// or lacks a part of one that it has.
func FromLayout(dir string) (Set, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Set{}, err
	}
	path, index, err := open(dir)
	if err != nil {
		return Set{}, err
	}
	set := Set{
		Layout:     dir,
		Kubernetes: index.Annotations[KubernetesKey],
		Istio:      index.Annotations[IstioKey],
		Images:     map[Role]Image{},
	}
	var faults []string
	for _, m := range index.Manifests {
		role := Role(m.Annotations[RoleKey])
		if role == "" {
			continue
		}
		ref, err := localRef(m.Annotations[RefKey], m.Digest)
		if err != nil {
			return Set{}, &LayoutError{Dir: dir, Faults: []string{err.Error()}}
		}
		set.Images[role] = Image{Ref: ref, Name: m.Annotations[RefKey], Digest: m.Digest}
		set.UpstreamEnvoy = set.UpstreamEnvoy || role == Proxy && m.Annotations[EnvoyKey] == "upstream"
		set.BuiltinCNI = set.BuiltinCNI || role == Node && m.Annotations[CNIKey] == "builtin"
	}
	for _, role := range Needed {
		if set.Ref(role) == "" {
			faults = append(faults, "it has no image of role "+string(role))
		}
	}
	for _, role := range set.Roles() {
		faults = append(faults, missing(path, role, set.Images[role])...)
	}
	if len(faults) > 0 {
		return Set{}, &LayoutError{Dir: dir, Faults: faults}
	}
	return set, nil
}

func open(dir string) (layout.Path, *v1.IndexManifest, error) {
	if _, err := os.Stat(filepath.Join(dir, "index.json")); err != nil {
		fault := "it has no index.json, so it is no OCI layout"
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			fault = "it does not exist"
		}
		return "", nil, &LayoutError{Dir: dir, Faults: []string{fault}}
	}
	path := layout.Path(dir)
	root, err := path.ImageIndex()
	if err != nil {
		return "", nil, &LayoutError{Dir: dir, Faults: []string{err.Error()}}
	}
	index, err := root.IndexManifest()
	if err != nil {
		return "", nil, &LayoutError{Dir: dir, Faults: []string{"reading its index: " + err.Error()}}
	}
	return path, index, nil
}

// missing names the parts of an image that the layout lacks or has only a
// piece of. Content is not read: containerd and docker check every digest.
func missing(path layout.Path, role Role, i Image) []string {
	img, err := path.Image(i.Digest)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", role, err)}
	}
	manifest, err := img.Manifest()
	if err != nil {
		return []string{fmt.Sprintf("%s (%s): its manifest %s is missing or damaged", role, i.Ref, i.Digest)}
	}
	var faults []string
	for _, part := range append([]v1.Descriptor{manifest.Config}, manifest.Layers...) {
		blob := filepath.Join(string(path), "blobs", part.Digest.Algorithm, part.Digest.Hex)
		switch info, err := os.Stat(blob); {
		case err != nil:
			faults = append(faults, fmt.Sprintf("%s (%s): blob %s is missing", role, i.Ref, part.Digest))
		case info.Size() != part.Size:
			faults = append(faults, fmt.Sprintf("%s (%s): blob %s has %d bytes of %d", role, i.Ref, part.Digest, info.Size(), part.Size))
		}
	}
	return faults
}

// Open returns the content of the set's image of that role, which a set from
// the container registries does not have.
func (s Set) Open(r Role) (v1.Image, error) {
	if s.Layout == "" {
		return nil, fmt.Errorf("%s does not come from a layout", s.Ref(r))
	}
	img, err := layout.Path(s.Layout).Image(s.Images[r].Digest)
	if err != nil {
		return nil, fmt.Errorf("opening %s in %s: %w", s.Ref(r), s.Layout, err)
	}
	return img, nil
}
