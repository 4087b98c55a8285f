package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A tree is the contents of one image layer, collected before it is written.
// Paths are those inside the image, such as "/usr/bin/kubelet"; folders above
// a path come by themselves.
type tree struct {
	nodes map[string]node
}

// A node is one path of a tree.
type node struct {
	mode     fs.FileMode // type and permissions
	uid, gid int
	time     time.Time
	source   string // a regular file's contents: a file of this machine
	data     []byte // or these bytes, when there is no source
	link     string // a symbolic link's target
}

func newTree() *tree { return &tree{nodes: map[string]node{}} }

// file adds a file of this machine.
func (t *tree) file(name, source string, mode fs.FileMode) {
	t.put(name, node{mode: mode, source: source})
}

// data adds a file with these contents.
func (t *tree) data(name string, mode fs.FileMode, data []byte) {
	t.put(name, node{mode: mode, data: data})
}

// link adds a symbolic link.
func (t *tree) link(name, target string) {
	t.put(name, node{mode: fs.ModeSymlink | 0o777, link: target})
}

// folder adds a folder whose permissions are not the common ones.
func (t *tree) folder(name string, mode fs.FileMode) { t.put(name, node{mode: fs.ModeDir | mode}) }

func (t *tree) put(name string, n node) { t.nodes[path.Join("/", name)] = n }

// addDir adds every file under a folder of this machine, as name/..., all with
// one mode. Only the contents and the names are taken over.
func (t *tree) addDir(name, dir string, mode fs.FileMode) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		t.file(path.Join(name, filepath.ToSlash(rel)), file, mode)
		return nil
	})
}

// addRoot adds a whole root file system with owners, modes and times. Device
// files and sockets stay out: a container gets its own.
func (t *tree) addRoot(root string) error {
	return filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		return t.addAsIs("/"+filepath.ToSlash(rel), file)
	})
}

// addAsIs adds one file, folder or link of this machine as it is.
func (t *tree) addAsIs(name, source string) error {
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	n := node{mode: info.Mode(), time: info.ModTime(), source: source}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		n.uid, n.gid = int(stat.Uid), int(stat.Gid)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		n.source = ""
		if n.link, err = os.Readlink(source); err != nil {
			return err
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil
	}
	t.put(name, n)
	return nil
}

// enable makes systemd start a unit: it reads WantedBy from the unit's file in
// the tree and adds the link that `systemctl enable` makes.
func (t *tree) enable(unit string) error {
	name := path.Join("/etc/systemd/system", unit)
	n, ok := t.nodes[name]
	if !ok {
		return fmt.Errorf("enabling %s: it is not in the tree", unit)
	}
	contents, err := n.contents()
	if err != nil {
		return err
	}
	defer contents.Close()
	text, err := io.ReadAll(contents)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if target, ok := strings.CutPrefix(strings.TrimSpace(line), "WantedBy="); ok {
			t.link(path.Join("/etc/systemd/system", target+".wants", unit), name)
			return nil
		}
	}
	return fmt.Errorf("enabling %s: no WantedBy in it", unit)
}

// contents opens a regular file's contents.
func (n node) contents() (io.ReadCloser, error) {
	if n.source == "" {
		return io.NopCloser(bytes.NewReader(n.data)), nil
	}
	return os.Open(n.source)
}

// writeFile writes the tree as a tar file.
func (t *tree) writeFile(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := t.write(f); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return f.Close()
}

// write writes the tree as a tar stream: sorted, so that a folder comes before
// what is in it and equal trees give equal bytes.
func (t *tree) write(w io.Writer) error {
	all := t.withParents()
	tw := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := writeNode(tw, name, all[name]); err != nil {
			return fmt.Errorf("adding %s: %w", name, err)
		}
	}
	return tw.Close()
}

// withParents adds the folders that paths imply.
func (t *tree) withParents() map[string]node {
	all := maps.Clone(t.nodes)
	for name := range t.nodes {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			if _, ok := all[dir]; ok {
				break
			}
			all[dir] = node{mode: fs.ModeDir | 0o755}
		}
	}
	return all
}

func writeNode(tw *tar.Writer, name string, n node) error {
	header := &tar.Header{
		Name:    strings.TrimPrefix(name, "/"),
		Mode:    unixMode(n.mode),
		Uid:     n.uid,
		Gid:     n.gid,
		ModTime: n.time.Truncate(time.Second),
	}
	switch {
	case n.mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
	case n.mode&fs.ModeSymlink != 0:
		header.Typeflag, header.Linkname = tar.TypeSymlink, n.link
	default:
		return writeRegular(tw, header, n)
	}
	return tw.WriteHeader(header)
}

func writeRegular(tw *tar.Writer, header *tar.Header, n node) error {
	header.Typeflag, header.Size = tar.TypeReg, int64(len(n.data))
	if n.source != "" {
		info, err := os.Stat(n.source)
		if err != nil {
			return err
		}
		header.Size = info.Size()
	}
	contents, err := n.contents()
	if err != nil {
		return err
	}
	defer contents.Close()
	if err := tw.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(tw, contents)
	return err
}

// unixMode is a mode's permissions as tar has them.
func unixMode(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	for flag, bit := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return bits
}
