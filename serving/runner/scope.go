package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// maxLinks is how many symbolic links one name may lead through, as in Linux.
const maxLinks = 40

// tree is as much of a directory as following links takes. An os.Root is one.
type tree interface {
	Lstat(name string) (fs.FileInfo, error)
	Readlink(name string) (string, error)
}

// scope returns where name really is in the tree: links are followed as a
// process would that has the tree as its root, so that none leads out of it.
// What is not there stays in the name as it is.
func scope(t tree, name string) (string, error) {
	real, links := ".", 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			real = path.Dir(real)
			continue
		}
		next := path.Join(real, part)
		info, err := t.Lstat(next)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			real = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("following %s: too many symbolic links", name)
		}
		to, err := t.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(to) {
			real = "."
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return real, nil
}
