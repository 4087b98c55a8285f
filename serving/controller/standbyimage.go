package controller

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"k8s.io/utils/lru"

	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/standby"
)

// standbyImages are the images of pods that stand by, made of those that they
// stand by for. Both are in the box's registry, which alone has the layers.
//
//	base layers of the service's image
//	one with the program that waits, and the directories that it may write
type standbyImages struct {
	program   string // an image with the program that waits
	layers    string // where pods find the registry that it is in
	reachable func(name.Reference) (name.Reference, error)
	puller    *remote.Puller
	facts     *lru.Cache // by reference: desired.Image

	mu     sync.Mutex
	waits  []byte            // the program
	images map[string]string // made ones, by what they are made of
}

func newStandbyImages(program, layers string, reachable func(name.Reference) (name.Reference, error)) (*standbyImages, error) {
	puller, err := remote.NewPuller(remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return nil, fmt.Errorf("preparing to read images: %w", err)
	}
	if _, err := url.Parse(layers); err != nil {
		return nil, fmt.Errorf("the address of the registry from pods: %w", err)
	}
	return &standbyImages{program: program, layers: layers, reachable: reachable, puller: puller, facts: lru.New(256), images: map[string]string{}}, nil
}

// koAuthor is who ko says has made a layer.
const koAuthor = "ko"

// of is what is known of an image that ko has put into the box's registry; its
// error is in words for a person.
func (s *standbyImages) of(ctx context.Context, image string) (desired.Image, error) {
	if known, ok := s.facts.Get(image); ok {
		return known.(desired.Image), nil
	}
	ref, img, err := s.read(ctx, image)
	if err != nil {
		return desired.Image{}, err
	}
	facts, err := s.look(ref, img)
	if err == nil {
		s.facts.Add(image, facts)
	}
	return facts, err
}

// errElsewhere says that an image cannot be put together from the box's registry.
var errElsewhere = errors.New("its image is not named by a digest in the box's registry")

func (s *standbyImages) read(ctx context.Context, image string) (name.Digest, v1.Image, error) {
	ours, err := name.ParseReference(s.program)
	if err != nil {
		return name.Digest{}, nil, fmt.Errorf("parsing image %q: %w", s.program, err)
	}
	ref, err := name.NewDigest(image)
	if err != nil || ref.Context().RegistryStr() != ours.Context().RegistryStr() {
		return ref, nil, errElsewhere
	}
	from, err := s.reachable(ref)
	if err != nil {
		return ref, nil, err
	}
	described, err := s.puller.Get(ctx, from)
	if err != nil {
		return ref, nil, fmt.Errorf("asking the box's registry: %w", err)
	}
	img, err := described.Image()
	if err != nil {
		return ref, nil, fmt.Errorf("reading image %s: %w", image, err)
	}
	return ref, img, nil
}

func (s *standbyImages) look(ref name.Digest, img v1.Image) (desired.Image, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return desired.Image{}, fmt.Errorf("reading the manifest of %s: %w", ref, err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return desired.Image{}, fmt.Errorf("reading the configuration of %s: %w", ref, err)
	}
	base := baseOf(config)
	if base < 0 || len(manifest.Layers) != len(config.RootFS.DiffIDs) {
		return desired.Image{}, errors.New("its image was not built by ko")
	}
	facts := desired.Image{
		User: config.Config.User, Dir: config.Config.WorkingDir, Env: config.Config.Env,
		Program: config.Config.Entrypoint, Args: config.Config.Cmd,
	}
	for _, id := range config.RootFS.DiffIDs[:base] {
		facts.Base = append(facts.Base, id.String())
	}
	for _, l := range manifest.Layers[base:] {
		if !slices.Contains(plainLayers, l.MediaType) {
			return desired.Image{}, fmt.Errorf("a layer of its image is of the type %s", l.MediaType)
		}
		facts.Layers = append(facts.Layers, standby.Layer{
			URL: fmt.Sprintf("%s/v2/%s/blobs/%s", s.layers, ref.Context().RepositoryStr(), l.Digest), Digest: l.Digest.String(), Size: l.Size,
		})
	}
	return facts, nil
}

// plainLayers are of the types that standby.Place can unpack.
var plainLayers = []types.MediaType{types.OCILayer, types.OCIUncompressedLayer, types.DockerLayer, types.DockerUncompressedLayer}

// baseOf is how many layers of an image are not ko's, less than 0 where none is.
func baseOf(config *v1.ConfigFile) int {
	own := 0
	for _, h := range config.History {
		if h.Author == koAuthor && !h.EmptyLayer {
			own++
		}
	}
	if own == 0 {
		return -1
	}
	return len(config.RootFS.DiffIDs) - own
}

// compose makes the image of a pod that stands by for pods of image, whose
// program runs as this user and group, and returns its name.
func (s *standbyImages) compose(ctx context.Context, image string, uid, gid int) (string, error) {
	facts, err := s.of(ctx, image)
	if err != nil {
		return "", err
	}
	key := fmt.Sprint(facts.Base, facts.User, facts.Env, uid, gid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if made, ok := s.images[key]; ok && s.there(ctx, made) {
		return made, nil
	}
	_, img, err := s.read(ctx, image)
	if err != nil {
		return "", err
	}
	composed, err := s.assemble(ctx, img, len(facts.Base), uid, gid)
	if err != nil {
		return "", err
	}
	made, err := s.write(ctx, composed)
	if err == nil {
		s.images[key] = made
	}
	return made, err
}

// there says whether the registry, which forgets images, has one still.
func (s *standbyImages) there(ctx context.Context, image string) bool {
	ref, err := name.NewDigest(image)
	if err != nil {
		return false
	}
	from, err := s.reachable(ref)
	if err != nil {
		return false
	}
	_, err = s.puller.Head(ctx, from)
	return err == nil
}

func (s *standbyImages) assemble(ctx context.Context, img v1.Image, base, uid, gid int) (v1.Image, error) {
	if s.waits == nil {
		var err error
		if s.waits, err = s.extract(ctx); err != nil {
			return nil, err
		}
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	archive, err := waitingFiles(s.waits, uid, gid)
	if err != nil {
		return nil, err
	}
	kind := types.OCIUncompressedLayer
	if manifest.MediaType == types.DockerManifestSchema2 {
		kind = types.DockerUncompressedLayer
	}
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, manifest.MediaType), manifest.Config.MediaType)
	if out, err = mutate.AppendLayers(out, append(slices.Clone(layers[:base]), static.NewLayer(archive, kind))...); err != nil {
		return nil, err
	}
	made, err := out.ConfigFile()
	if err != nil {
		return nil, err
	}
	made = made.DeepCopy()
	made.OS, made.Architecture, made.Variant = config.OS, config.Architecture, config.Variant
	made.Config.User, made.Config.Env = config.Config.User, config.Config.Env
	return mutate.ConfigFile(out, made)
}

// waitingFiles are the program that waits, and the directories that it may write.
func waitingFiles(program []byte, uid, gid int) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	dirs := []tar.Header{{Name: path.Dir(desired.StandbyProgram)}}
	for _, root := range standby.Roots {
		for dir := path.Dir(root); dir != "/"; dir = path.Dir(dir) {
			dirs = append(dirs, tar.Header{Name: dir})
		}
		dirs = append(dirs, tar.Header{Name: root, Uid: uid, Gid: gid})
	}
	slices.SortFunc(dirs, func(a, b tar.Header) int { return cmp.Compare(a.Name, b.Name) })
	for _, h := range dirs {
		h.Name, h.Typeflag, h.Mode = strings.TrimPrefix(h.Name, "/")+"/", tar.TypeDir, 0o755
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
	}
	h := &tar.Header{Name: strings.TrimPrefix(desired.StandbyProgram, "/"), Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))}
	if err := w.WriteHeader(h); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	return buf.Bytes(), w.Close()
}

// extract is the program that the image of that name runs.
func (s *standbyImages) extract(ctx context.Context) ([]byte, error) {
	_, img, err := s.read(ctx, s.program)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	if len(config.Config.Entrypoint) == 0 {
		return nil, fmt.Errorf("image %s names no program", s.program)
	}
	want := path.Clean("/" + config.Config.Entrypoint[0])
	files := mutate.Extract(img)
	defer files.Close()
	for archive := tar.NewReader(files); ; {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("image %s has no %s", s.program, want)
		case err != nil:
			return nil, err
		case h.Typeflag == tar.TypeReg && path.Clean("/"+h.Name) == want:
			return io.ReadAll(archive)
		}
	}
}

// write puts an image into the box's registry.
func (s *standbyImages) write(ctx context.Context, img v1.Image) (string, error) {
	ours, err := name.ParseReference(s.program)
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	ref, err := name.NewDigest(ours.Context().RegistryStr() + "/devbox/standby@" + digest.String())
	if err != nil {
		return "", err
	}
	to, err := s.reachable(ref)
	if err != nil {
		return "", err
	}
	if err := remote.Write(to, img, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("writing the image of a pod that stands by: %w", err)
	}
	return ref.Name(), nil
}
