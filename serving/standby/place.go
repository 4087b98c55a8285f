package standby

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
)

// Place is where layers are brought to: Roots, below a directory that is "/"
// everywhere but in tests.
type Place struct {
	dir  string
	have []brought
}

// brought is a layer that is in place, and what came with it.
type brought struct {
	digest string
	names  []string // below the place, in the order of the archive; no directories
}

// NewPlace returns the place below dir, in which the Roots are and empty.
func NewPlace(dir string) *Place { return &Place{dir: dir} }

// Bring has exactly these layers in place. Those that are there already, and
// under no other than these, stay.
func (p *Place) Bring(ctx context.Context, layers []Layer) error {
	same := 0
	for same < min(len(p.have), len(layers)) && p.have[same].digest == layers[same].Digest {
		same++
	}
	if p.overlap(same) {
		same = 0
	}
	for i := len(p.have) - 1; i >= same; i-- {
		for _, name := range slices.Backward(p.have[i].names) {
			if err := os.Remove(path.Join(p.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("clearing the layer before: %w", err)
			}
		}
	}
	p.have = p.have[:same]
	for _, l := range layers[same:] {
		names, err := p.fetch(ctx, l)
		if err != nil {
			return fmt.Errorf("layer %s: %w", l.Digest, err)
		}
		p.have = append(p.have, brought{l.Digest, names})
	}
	return nil
}

// overlap says whether a layer from n on has put something in the place of what
// one before had brought, which is gone then.
func (p *Place) overlap(n int) bool {
	for _, above := range p.have[n:] {
		for _, below := range p.have[:n] {
			if slices.ContainsFunc(above.names, func(name string) bool { return slices.Contains(below.names, name) }) {
				return true
			}
		}
	}
	return false
}

// buffer is what is read at a time: a program is megabytes. In bytes.
const buffer = 256 << 10

// fetch brings one layer. What it has brought is only to be used if it returns
// no error: the digest is known at the end.
func (p *Place) fetch(ctx context.Context, l Layer) (names []string, err error) {
	want, ok := strings.CutPrefix(l.Digest, "sha256:")
	if !ok {
		return nil, errors.New("its digest is no sha256")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", l.URL, res.Status)
	}
	hash := sha256.New()
	body := io.TeeReader(io.LimitReader(res.Body, l.Size), hash)
	names, err = p.unpack(bufio.NewReaderSize(body, buffer))
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, body); err != nil { // what lies behind the archive counts for the digest
		return nil, err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return nil, fmt.Errorf("%s has the digest sha256:%s", l.URL, got)
	}
	return names, nil
}

// gzipMagic begins what gzip has compressed.
var gzipMagic = []byte{0x1f, 0x8b}

func (p *Place) unpack(from *bufio.Reader) (names []string, err error) {
	var content io.Reader = from
	if start, err := from.Peek(len(gzipMagic)); err == nil && bytes.Equal(start, gzipMagic) {
		if content, err = gzip.NewReader(from); err != nil {
			return nil, err
		}
	}
	roots := map[string]*os.Root{}
	for _, dir := range Roots {
		root, err := os.OpenRoot(path.Join(p.dir, dir))
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }() // it was opened for looking up names alone
		roots[dir] = root
	}
	archive, piece := tar.NewReader(content), make([]byte, buffer)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		name, err := entry(roots, h, archive, piece)
		if err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", h.Name, err)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	_, err = io.CopyBuffer(io.Discard, content, piece)
	return names, err
}

// errOutside is the error of a layer that would write where it may not.
var errOutside = fmt.Errorf("it does not lie under %s", strings.Join(Roots, " or "))

// entry writes one file of an archive, and returns its name if it is no
// directory.
func entry(roots map[string]*os.Root, h *tar.Header, content io.Reader, piece []byte) (string, error) {
	if slices.Contains(strings.Split(h.Name, "/"), "..") {
		return "", errOutside
	}
	name := path.Clean("/" + h.Name)
	var root *os.Root
	var below string
	for dir, r := range roots {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			root, below = r, rest
		} else if h.Typeflag == tar.TypeDir && strings.HasPrefix(dir+"/", strings.TrimSuffix(name, "/")+"/") {
			return "", nil // it leads there, and is there
		}
	}
	if root == nil {
		return "", errOutside
	}
	if strings.HasPrefix(path.Base(below), ".wh.") {
		return "", errors.New("it removes what a layer before has, which is not there")
	}
	if h.Typeflag == tar.TypeDir {
		return "", root.MkdirAll(below, 0o755)
	}
	return name, write(root, below, h, content, piece)
}

// write makes one file below a root, in the place of what is there.
func write(root *os.Root, name string, h *tar.Header, content io.Reader, piece []byte) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return file(root, name, h, content, piece)
	case tar.TypeSymlink:
		if path.IsAbs(h.Linkname) || strings.HasPrefix(path.Join(path.Dir(name), h.Linkname), "..") {
			return fmt.Errorf("it is a link to %s: %w", h.Linkname, errOutside)
		}
		return root.Symlink(h.Linkname, name)
	default:
		return fmt.Errorf("it is of the kind %q, and neither a file, a directory nor a symbolic link", h.Typeflag)
	}
}

func file(root *os.Root, name string, h *tar.Header, content io.Reader, piece []byte) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, content, piece)
	if err := errors.Join(err, f.Chmod(fs.FileMode(h.Mode)&fs.ModePerm), f.Close()); err != nil { //nolint:gosec // the bits that count are few
		return err
	}
	return root.Chtimes(name, h.ModTime, h.ModTime)
}
