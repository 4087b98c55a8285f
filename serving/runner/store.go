package runner

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// store is the images and layers that are here.
//
//	images/<hex>.json        an image's configuration and its layers
//	images/tags/<reference>  the digest that a tag stood for
//	layers/<hex>/fs          the files of a layer
//	layers/<hex>/layer.json  what the files do not say; with it the layer counts
//
// What is on its way in has a name that starts with "tmp-", and gets its own
// by a rename when it is whole.
type store struct {
	dir  string
	keep int64
	// overlay: layers are written as overlayfs reads them.
	overlay bool
	log     *slog.Logger

	mu      sync.Mutex
	images  map[v1.Hash]*imageRecord
	layers  map[v1.Hash]*layerRecord
	tags    map[string]v1.Hash
	held    map[v1.Hash]int // images, here or on their way
	claimed map[v1.Hash]int // layers of images on their way
}

// imageRecord is what stays of an image's manifest and configuration.
type imageRecord struct {
	Config *v1.ConfigFile `json:"config"`
	Layers []v1.Hash      `json:"layers"` // the uppermost first, each once

	used time.Time // last; the file's time of change
}

// layerRecord is what the files of a layer do not say.
type layerRecord struct {
	Size      int64    `json:"size"`                // on disk
	Overlay   bool     `json:"overlay,omitempty"`   // the files say Whiteouts and Opaque as overlayfs has it
	Whiteouts []string `json:"whiteouts,omitempty"` // of lower layers' files
	Opaque    []string `json:"opaque,omitempty"`    // directories that hide the lower layers'
	Implied   []string `json:"implied,omitempty"`   // directories the layer only passes through, so that their mode is a lower layer's
}

const temporary = "tmp-"

// openStore reads what is in dir, and removes what was never finished.
func openStore(dir string, keep int64, overlay bool, log *slog.Logger) (*store, error) {
	s := &store{
		dir: dir, keep: keep, overlay: overlay, log: log,
		images:  map[v1.Hash]*imageRecord{},
		layers:  map[v1.Hash]*layerRecord{},
		tags:    map[string]v1.Hash{},
		held:    map[v1.Hash]int{},
		claimed: map[v1.Hash]int{},
	}
	for folder, read := range map[string]func(path, name string, info fs.FileInfo) bool{
		"layers": s.readLayer, "images": s.readImage, "images/tags": s.readTag,
	} {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			return nil, fmt.Errorf("reading the %s that are here: %w", folder, err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, folder, e.Name())
			info, err := e.Info()
			if err != nil || folder == "images" && info.IsDir() || read(path, e.Name(), info) {
				continue
			}
			if err := RemoveAll(path); err != nil {
				return nil, fmt.Errorf("removing what was not finished: %w", err)
			}
		}
	}
	s.evict()
	return s, nil
}

func (s *store) readLayer(path, name string, _ fs.FileInfo) bool {
	var l layerRecord
	if strings.HasPrefix(name, temporary) || readJSON(filepath.Join(path, "layer.json"), &l) != nil {
		return false
	}
	s.layers[hash(name)] = &l
	return true
}

func (s *store) readImage(path, name string, info fs.FileInfo) bool {
	i := imageRecord{used: info.ModTime()}
	digest, ok := strings.CutSuffix(name, ".json")
	if !ok || strings.HasPrefix(name, temporary) || readJSON(path, &i) != nil {
		return false
	}
	s.images[hash(digest)] = &i
	return true
}

func (s *store) readTag(path, name string, _ fs.FileInfo) bool {
	content, err := os.ReadFile(path)
	if err != nil || strings.HasPrefix(name, temporary) {
		return false
	}
	ref, err1 := url.PathUnescape(name)
	digest, err2 := v1.NewHash(string(content))
	if err1 != nil || err2 != nil {
		return false
	}
	s.tags[ref] = digest
	return true
}

func hash(hex string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: hex} }

func (s *store) layerDir(layer v1.Hash) string { return filepath.Join(s.dir, "layers", layer.Hex) }

func (s *store) imageFile(image v1.Hash) string {
	return filepath.Join(s.dir, "images", image.Hex+".json")
}

func (s *store) tagFile(ref string) string {
	return filepath.Join(s.dir, "images/tags", url.PathEscape(ref))
}

// image returns the image if it is here with all its layers, else nil.
func (s *store) image(digest v1.Hash) *imageRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.images[digest]
	if i == nil {
		return nil
	}
	for _, l := range i.Layers {
		if !s.usable(l) {
			return nil
		}
	}
	return i
}

// usable says whether a layer is here in the form that is needed.
func (s *store) usable(layer v1.Hash) bool {
	l := s.layers[layer]
	return l != nil && (l.Overlay || !s.overlay || len(l.Whiteouts)+len(l.Opaque) == 0)
}

func (s *store) has(layer v1.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable(layer)
}

func (s *store) layer(layer v1.Hash) *layerRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.layers[layer]
}

func (s *store) size(layers []v1.Hash) (n int64) {
	for _, l := range layers {
		if record := s.layer(l); record != nil {
			n += record.Size
		}
	}
	return n
}

func (s *store) tagged(ref string) (v1.Hash, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest, ok := s.tags[ref]
	return digest, ok && s.images[digest] != nil
}

// tag remembers what a tag stands for.
func (s *store) tag(ref string, digest v1.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tags[ref] == digest {
		return nil
	}
	if err := replace(s.tagFile(ref), []byte(digest.String())); err != nil {
		return fmt.Errorf("remembering what %s stands for: %w", ref, err)
	}
	s.tags[ref] = digest
	return nil
}

// put adds an image whose layers are here.
func (s *store) put(digest v1.Hash, i *imageRecord) error {
	content, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("writing down the image: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := replace(s.imageFile(digest), content); err != nil {
		return fmt.Errorf("writing down the image: %w", err)
	}
	i.used = time.Now()
	s.images[digest] = i
	return nil
}

// add unpacks a layer.
func (s *store) add(layer v1.Hash, content io.Reader) error {
	tmp, err := os.MkdirTemp(filepath.Join(s.dir, "layers"), temporary)
	if err != nil {
		return err
	}
	defer func() { _ = RemoveAll(tmp) }() // what is left of it goes at the next start
	files := filepath.Join(tmp, "fs")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(files, 0o755); err != nil { // whatever the umask
		return err
	}
	record, err := unpack(files, content, s.overlay)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(tmp, "layer.json"), record); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.usable(layer) {
		return nil // somebody else was faster
	}
	if s.layers[layer] != nil { // in a form that is not wanted any more
		delete(s.layers, layer)
		if err := RemoveAll(s.layerDir(layer)); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, s.layerDir(layer)); err != nil {
		return err
	}
	s.layers[layer] = record
	return nil
}

// replace writes a file so that it is there wholly or not at all.
func replace(path string, content []byte) error {
	tmp := filepath.Join(filepath.Dir(path), temporary+filepath.Base(path))
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func readJSON(path string, to any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, to)
}

func writeJSON(path string, from any) error {
	content, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
