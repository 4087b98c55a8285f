package runner

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Names by which a layer removes files of the layers under it.
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// unpacking is the state of one layer on its way from a tar stream to files.
// All writing goes through an os.Root, so that no name and no link of the
// stream leads out of the layer.
type unpacking struct {
	root    *os.Root
	own     bool                   // give files to whom they belong; only root can
	dirs    map[string]*tar.Header // by path; what a directory shall be once nothing more goes into it
	implied map[string]bool        // directories that have no header so far
	real    map[string]string      // where directories of the stream are, links followed
	record  layerRecord
}

// unpack writes the tar stream's files under dir. With overlay it also says
// to overlayfs what the layer removes.
func unpack(dir string, content io.Reader, overlay bool) (*layerRecord, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // it was opened for looking up names alone
	u := &unpacking{
		root: root, own: os.Geteuid() == 0,
		dirs: map[string]*tar.Header{}, implied: map[string]bool{".": true}, real: map[string]string{},
	}
	u.record.Overlay = overlay
	stream := tar.NewReader(content)
	for {
		h, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		if err := u.entry(h, stream); err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", h.Name, err)
		}
	}
	// The digest is checked at the stream's end, which lies behind the archive's.
	if _, err := io.Copy(io.Discard, content); err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	if err := u.finish(overlay); err != nil {
		return nil, err
	}
	return &u.record, nil
}

// entry writes one file, or remembers what the layer removes.
func (u *unpacking) entry(h *tar.Header, content io.Reader) error {
	name := path.Clean("/" + h.Name)[1:]
	if name == "" {
		if h.Typeflag == tar.TypeDir {
			delete(u.implied, ".")
			u.dirs["."] = h
		}
		return nil
	}
	dir, err := u.parent(path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	switch {
	case base == whiteoutOpaque:
		u.record.Opaque = append(u.record.Opaque, dir)
		return nil
	case strings.HasPrefix(base, whiteoutMeta):
		return nil // the book-keeping of a file system that nobody uses any more
	case strings.HasPrefix(base, whiteoutPrefix):
		u.record.Whiteouts = append(u.record.Whiteouts, path.Join(dir, base[len(whiteoutPrefix):]))
		return nil
	}
	return u.write(path.Join(dir, base), h, content)
}

// parent returns where a directory really is in this layer, and makes it if
// the stream did not. Links count as they do in the image, where "/" is the
// layer itself.
func (u *unpacking) parent(dir string) (string, error) {
	if real, ok := u.real[dir]; ok {
		return real, nil
	}
	real, err := scope(u.root, dir)
	if err == nil && real != "." {
		real, err = u.mkdirs(real)
	}
	if err != nil {
		return "", err
	}
	u.real[dir] = real
	return real, nil
}

func (u *unpacking) mkdirs(real string) (string, error) {
	if info, err := u.root.Lstat(real); err == nil && info.IsDir() {
		return real, nil
	}
	up, err := u.parent(path.Dir(real))
	if err != nil {
		return "", err
	}
	real = path.Join(up, path.Base(real))
	if err := u.root.Mkdir(real, 0o755); err != nil {
		return "", err
	}
	u.implied[real] = true
	return real, u.root.Chmod(real, 0o755) // whatever the umask
}

func (u *unpacking) write(name string, h *tar.Header, content io.Reader) error {
	if err := u.room(name, h.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.dir(name, h)
	case tar.TypeReg:
		return u.file(name, h, content)
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		return u.chown(name, h)
	case tar.TypeLink:
		return u.link(name, h)
	case tar.TypeFifo:
		if err := makeFifo(u.path(name)); err != nil {
			return err
		}
		return u.attributes(name, h)
	default:
		return nil // devices: a process gets those of every container, and no others
	}
}

// room makes room for a file that comes a second time.
func (u *unpacking) room(name string, dir bool) error {
	info, err := u.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && dir && info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	clear(u.real)
	return u.root.RemoveAll(name)
}

func (u *unpacking) dir(name string, h *tar.Header) error {
	if err := u.root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	delete(u.implied, name)
	u.dirs[name] = h
	return nil
}

func (u *unpacking) file(name string, h *tar.Header, content io.Reader) error {
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	u.record.Size += blocks(n)
	return u.attributes(name, h)
}

// blocks is about how much of a disk n bytes take.
func blocks(n int64) int64 { return (n + 4095) &^ 4095 }

// link makes a hard link to a file that came before.
func (u *unpacking) link(name string, h *tar.Header) error {
	target := path.Clean("/" + h.Linkname)[1:]
	dir, err := scope(u.root, path.Dir(target))
	if err != nil {
		return err
	}
	return u.root.Link(path.Join(dir, path.Base(target)), name)
}

// attributes gives a file that is no link the owner, mode and time it has in
// the image, in this order: a change of owner takes bits of the mode away.
func (u *unpacking) attributes(name string, h *tar.Header) error {
	if err := u.chown(name, h); err != nil {
		return err
	}
	if err := u.root.Chmod(name, u.mode(h.FileInfo().Mode())); err != nil {
		return err
	}
	if h.ModTime.Before(time.Unix(0, 0)) {
		return nil
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

// mode is what a file gets of the mode it has in the image. A directory that
// an ordinary user could not change could not be removed either.
func (u *unpacking) mode(m fs.FileMode) fs.FileMode {
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	if m.IsDir() && !u.own {
		m |= 0o700
	}
	return m & bits
}

func (u *unpacking) chown(name string, h *tar.Header) error {
	if !u.own {
		return nil
	}
	return u.root.Lchown(name, h.Uid, h.Gid)
}

// path is for the few calls that os.Root does not have. Its last element must
// not be there yet, and the others are directories, which room and parent
// have seen to; nobody else writes here.
func (u *unpacking) path(name string) string {
	return filepath.Join(u.root.Name(), filepath.FromSlash(name))
}

// finish removes what the layer removes, and gives the directories what they
// shall be, the deepest first, because it may shut them.
func (u *unpacking) finish(overlay bool) error {
	if err := u.hide(overlay); err != nil {
		return err
	}
	names := make([]string, 0, len(u.dirs))
	for name := range u.dirs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	for _, name := range names {
		if info, err := u.root.Lstat(name); err != nil || !info.IsDir() {
			continue // it was replaced by something else
		}
		if err := u.attributes(name, u.dirs[name]); err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
		u.record.Size += blocks(1)
	}
	for name := range u.implied {
		u.record.Implied = append(u.record.Implied, name)
	}
	slices.Sort(u.record.Implied)
	return nil
}

// hide settles what the layer removes. A whiteout is about lower layers: what
// this layer has under the name stays, and a directory that stays hides all
// that was in the lower one.
func (u *unpacking) hide(overlay bool) error {
	var gone []string
	for _, name := range u.record.Whiteouts {
		info, err := u.root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			gone = append(gone, name)
		case err != nil:
			return fmt.Errorf("removing %s: %w", name, err)
		case info.IsDir():
			u.record.Opaque = append(u.record.Opaque, name)
		}
	}
	slices.Sort(gone)
	u.record.Whiteouts = slices.Compact(gone)
	slices.Sort(u.record.Opaque)
	u.record.Opaque = slices.Compact(u.record.Opaque)
	if !overlay {
		return nil
	}
	for _, name := range u.record.Whiteouts {
		if err := makeWhiteout(u.path(name)); err != nil {
			return fmt.Errorf("removing %s: %w", name, err)
		}
	}
	for _, name := range u.record.Opaque {
		if err := makeOpaque(u.path(name)); err != nil {
			return fmt.Errorf("hiding what was in %s: %w", name, err)
		}
	}
	return nil
}
