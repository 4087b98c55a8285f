package runner

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// view is an image's files as a process would see them, with the layers still
// apart. It is for looking up a few files, without mounting anything.
type view []viewLayer // the uppermost first

type viewLayer struct {
	dir    string
	record *layerRecord
}

func (s *store) view(i *imageRecord) view {
	var v view
	for _, l := range i.Layers {
		v = append(v, viewLayer{dir: filepath.Join(s.layerDir(l), "fs"), record: s.layer(l)})
	}
	return v
}

// find returns where on the machine a name of the image is. The directories
// above it are no links; scope sees to that.
func (v view) find(name string) (string, error) {
	for _, l := range v {
		host := filepath.Join(l.dir, filepath.FromSlash(name))
		if l.direct(name) {
			if _, err := os.Lstat(host); err == nil && !slices.Contains(l.record.Whiteouts, name) {
				return host, nil
			}
		}
		if l.hides(name) {
			break
		}
	}
	return "", &fs.PathError{Op: "find", Path: "/" + name, Err: fs.ErrNotExist}
}

// direct says whether the layer has the directories above name as such.
func (l viewLayer) direct(name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if info, err := os.Lstat(filepath.Join(l.dir, dir)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// hides says whether the layer covers what lower layers have under name.
func (l viewLayer) hides(name string) bool {
	for dir := name; dir != "."; dir = path.Dir(dir) {
		if slices.Contains(l.record.Whiteouts, dir) {
			return true
		}
		if dir != name && slices.Contains(l.record.Opaque, dir) {
			return true
		}
		if info, err := os.Lstat(filepath.Join(l.dir, dir)); err == nil && !info.IsDir() {
			return true // a file where a lower layer may have a directory
		}
	}
	return slices.Contains(l.record.Opaque, ".")
}

// Lstat and Readlink make the view a tree.
func (v view) Lstat(name string) (fs.FileInfo, error) {
	host, err := v.find(name)
	if err != nil {
		return nil, err
	}
	return os.Lstat(host)
}

func (v view) Readlink(name string) (string, error) {
	host, err := v.find(name)
	if err != nil {
		return "", err
	}
	return os.Readlink(host)
}

// host returns where on the machine a path of the image is, links followed.
func (v view) host(name string) (string, error) {
	real, err := scope(v, strings.TrimPrefix(path.Clean("/"+name), "/"))
	if err != nil {
		return "", err
	}
	return v.find(real)
}

// read returns the content of a file of the image.
func (v view) read(name string) ([]byte, error) {
	host, err := v.host(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(host)
}
