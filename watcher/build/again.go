package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/kind-in-a-box/devbox/watcher/build/recipe"
)

// mostKept is how much of what was compiled and linked stays on the disk while
// a Builder lives, in bytes.
const mostKept = 512 << 20

// memory is what a Builder knows of the programs it has built. Of one it
// learns in the background, after the go command has built it.
type memory struct {
	store *recipe.Store
	dir   string        // of the store
	turn  chan struct{} // holds one token while something is being learned

	mu       sync.Mutex
	known    map[target]*known
	learning map[target]*lesson
	ahead    map[target]*foresight
	closed   bool
}

// target is a program as a Builder is asked for it.
type target struct{ dir, importPath string }

// known is what is known of a program.
type known struct {
	how    string // it was built: flags, environment, base image
	recipe *recipe.Recipe
	layout layout
	header []*tar.Header // of the layer with the program, which is last
	why    error         // there is no recipe
}

// lesson is the learning of what is known of a program.
type lesson struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func newMemory() (*memory, error) {
	dir, err := makeTemp()
	if err != nil {
		return nil, err
	}
	return &memory{store: recipe.NewStore(dir, mostKept), dir: dir, turn: make(chan struct{}, 1), known: map[target]*known{}, learning: map[target]*lesson{}, ahead: map[target]*foresight{}}, nil
}

// close ends what is being learned and removes all that was kept.
func (m *memory) close() {
	m.mu.Lock()
	m.closed = true
	var ended []chan struct{}
	for _, l := range m.learning {
		l.cancel()
		ended = append(ended, l.ended)
	}
	m.mu.Unlock()
	for _, end := range ended {
		<-end
	}
	_ = os.RemoveAll(m.dir) // a later Builder removes what stays
}

// firstTime is why there can be nothing to go by, which need not be told.
const firstTime = "it is built for the first time"

// of is what is known of a program, or why it is not to be made by what is.
func (m *memory) of(t target, how string) (*known, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.learning[t]; l != nil {
		l.cancel() // it would learn of files that may be others now
		return nil, "what the one before it was made of is not known yet"
	}
	return m.recall(t, how)
}

// recall is of without a word of what is being learned. m is locked.
func (m *memory) recall(t target, how string) (*known, string) {
	switch k := m.known[t]; {
	case k == nil:
		return nil, firstTime
	case k.why != nil:
		return nil, k.why.Error()
	case k.how != how:
		return nil, ".ko.yaml or the environment has changed"
	default:
		return k, ""
	}
}

// learn finds out, in the background, how a program was made that the go
// command has just built.
func (m *memory) learn(ctx context.Context, t target, b recipe.Build, how string, l layout) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	now := &lesson{cancel, make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		cancel()
		return
	}
	before := m.learning[t]
	m.learning[t] = now
	go func() {
		defer close(now.ended)
		defer cancel()
		if before != nil {
			before.cancel()
			<-before.ended
		}
		select {
		case m.turn <- struct{}{}:
			defer func() { <-m.turn }()
		case <-ctx.Done():
		}
		k := &known{how: how, layout: l}
		k.recipe, k.header, k.why = m.take(ctx, b, l)
		k.layout.own = nil // it is on the disk now
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.learning[t] != now {
			return
		}
		delete(m.learning, t)
		if ctx.Err() == nil {
			m.known[t] = k
		}
	}()
}

// take is the recipe of a program, and how its layer begins.
func (m *memory) take(ctx context.Context, b recipe.Build, l layout) (*recipe.Recipe, []*tar.Header, error) {
	if slices.ContainsFunc(b.Flags, func(flag string) bool { return strings.Contains(flag, "{{") }) {
		return nil, nil, errors.New("a flag in .ko.yaml is a template, which may say something else at each build")
	}
	if len(l.own) != 2 {
		return nil, nil, fmt.Errorf("ko made %d layers of it", len(l.own))
	}
	layer, err := l.own[1].Uncompressed()
	if err != nil {
		return nil, nil, err
	}
	defer layer.Close()
	var header []*tar.Header
	for in := tar.NewReader(layer); ; {
		h, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil, errors.New("ko made a layer with no program")
		case err != nil:
			return nil, nil, err
		}
		header = append(header, h)
		if h.Typeflag == tar.TypeReg {
			r, err := m.takeOf(ctx, b, in)
			return r, header, err
		}
	}
}

func (m *memory) takeOf(ctx context.Context, b recipe.Build, in io.Reader) (*recipe.Recipe, error) {
	program, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	tmp, err := makeTemp()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	return recipe.Take(ctx, b, m.store, tmp, program)
}

// again makes an image without the go command, where that gives the same. If
// it does not there is no image, and why says so in words.
func (b *Builder) again(ctx context.Context, t target, how string, data kodata) (img v1.Image, why string, err error) {
	k, made, why, err := b.make(ctx, t, how)
	if k == nil || err != nil {
		return nil, why, err
	}
	program, err := os.ReadFile(made.Path)
	if err != nil {
		return nil, err.Error(), nil
	}
	if img, err = k.image(program, data); err != nil {
		return nil, "", &ImageError{Target: t.importPath, Err: fmt.Errorf("laying it out: %w", err)}
	}
	return image{img, way(made)}, "", nil
}

// make makes a program without the go command, by what is known of it.
func (b *Builder) make(ctx context.Context, t target, how string) (k *known, made recipe.Made, why string, err error) {
	k, why = b.memory.of(t, how)
	if why != "" {
		return nil, made, why, nil
	}
	why, now := k.recipe.Why(func(path string) string { return relative(b.workDir, path) })
	if why != "" {
		return nil, made, why, nil
	}
	made, err = b.memory.foreseen(ctx, t, k, now)
	if errors.Is(err, errUnforeseen) {
		made, err = k.program(ctx, now)
	}
	switch {
	case ctx.Err() != nil:
		return nil, made, "", fmt.Errorf("building %s: %w", t.importPath, context.Cause(ctx))
	case err != nil: // the words for it are the go command's
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, made, first, nil
	}
	return k, made, "", nil
}

// program makes the program of what the files hold.
func (k *known) program(ctx context.Context, now recipe.State) (recipe.Made, error) {
	tmp, err := makeTemp()
	if err != nil {
		return recipe.Made{}, err
	}
	defer os.RemoveAll(tmp)
	return k.recipe.Make(ctx, tmp, now)
}

// mostNamed is how many packages are named before they are only counted.
const mostNamed = 3

func way(made recipe.Made) string {
	switch {
	case len(made.Compiled) > mostNamed:
		return fmt.Sprintf("compiled %d packages and linked", len(made.Compiled))
	case !made.Linked:
		return "nothing to compile"
	case len(made.Compiled) == 0:
		return "linked"
	}
	return "compiled " + strings.Join(made.Compiled, ", ") + " and linked"
}

// image is as ko's was, with another program and other data.
func (k *known) image(program []byte, data kodata) (v1.Image, error) {
	header := slices.Clone(k.header)
	last := *header[len(header)-1]
	last.Size = int64(len(program))
	header[len(header)-1] = &last
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, h := range header {
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	files, err := data.tar()
	if err != nil {
		return nil, err
	}
	mt := k.layout.layerType()
	return k.layout.with(static.NewLayer(files, mt), static.NewLayer(layer.Bytes(), mt))
}

// tar is the layer with the data, as ko makes it.
func (d kodata) tar() ([]byte, error) {
	const root = "/var/run/ko"
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(name, from string) error {
		h := &tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o555}
		var content []byte
		if from != "" {
			var err error
			if content, err = os.ReadFile(from); err != nil {
				return err
			}
			h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	for _, dir := range []string{"/var", path.Dir(root), root} {
		if err := add(dir, ""); err != nil {
			return nil, err
		}
	}
	for _, e := range d.entries {
		if err := add(path.Join(root, e.name), e.path); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}

// image is an image that knows how it was made.
type image struct {
	v1.Image
	way string
}

// Way says in words how an image of a Builder's was made, as in "compiled
// example.com/lib and linked"; it is empty for one that remembers nothing.
func Way(img v1.Image) string {
	if s, ok := img.(several); ok {
		img = s.Image
	}
	made, _ := img.(image)
	return made.way
}
