package watcher

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/watcher/graph"
)

const (
	// maxKept is the size up to which a file's lines are kept, to say which of
	// them changed, and maxKeptInAll how much is kept of all files. Those of
	// vendored modules are not: they are many, and few people edit them.
	maxKept      = 1 << 20
	maxKeptInAll = 32 << 20
	// maxRead is the size above which a file's time stamp stands for what is in
	// it: to read it at each event would hold up every other save.
	maxRead = 64 << 20
)

// contents are what the watched files held when they were last read. They
// decide whether a file changed: an event or a time stamp does not.
type contents struct {
	files map[string]content
	kept  int // bytes of lines
}

func newContents() *contents { return &contents{files: map[string]content{}} }

type content struct {
	sum   [sha256.Size]byte
	shape [sha256.Size]byte // of what makes it part of its package and of what it needs
	lines []byte            // nil where they are not kept
	link  string            // what it says, if it is a link
}

// edit is a file that differs from what it held before.
type edit struct {
	file string
	line int  // the first that differs; 0 if that is not known
	new  bool // it was not known before
	// reshaped says that the packages to list may be others now.
	reshaped bool
	// relinked says that it is a link, was one, or leads elsewhere now.
	relinked bool
}

// update reads files again and says which of them changed.
func (c *contents) update(files []string) []edit {
	var edits []edit
	for _, file := range files {
		before, known := c.files[file]
		now, ok := read(file)
		if !ok { // it is gone, or of no use to the compiler either
			if known {
				c.forget(file)
				edits = append(edits, edit{file: file, reshaped: true, relinked: before.link != ""})
			}
			continue
		}
		if known && now.sum == before.sum && now.link == before.link {
			continue
		}
		edits = append(edits, edit{
			file: file, line: firstDifference(before.lines, now.lines),
			new: !known, reshaped: !known || now.shape != before.shape, relinked: now.link != before.link,
		})
		c.keep(file, now)
	}
	return edits
}

func (c *contents) keep(file string, now content) {
	c.forget(file)
	if vendored := slices.Contains(strings.Split(file, string(filepath.Separator)), "vendor"); vendored || c.kept+len(now.lines) > maxKeptInAll {
		now.lines = nil
	}
	c.files[file] = now
	c.kept += len(now.lines)
}

func (c *contents) forget(file string) {
	c.kept -= len(c.files[file].lines)
	delete(c.files, file)
}

// learn reads the files that are not known yet.
func (c *contents) learn(files []string) {
	c.update(slices.DeleteFunc(slices.Clone(files), c.knows))
}

// knows says whether a file has been read.
func (c *contents) knows(file string) bool {
	_, known := c.files[file]
	return known
}

// read reads an ordinary file, or a link, whatever that leads to. Of others
// there is nothing to read, and to open a pipe would wait for who writes to it.
func read(file string) (content, bool) {
	var now content
	info, err := os.Lstat(file)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if now.link, err = os.Readlink(file); err != nil {
			return now, false
		}
		if info, err = os.Stat(file); err != nil || !info.Mode().IsRegular() {
			return now, true
		}
	}
	if err != nil || !info.Mode().IsRegular() {
		return now, false
	}
	if info.Size() > maxRead {
		now.sum = sha256.Sum256(fmt.Append(nil, info.Size(), info.ModTime()))
		return now, true
	}
	f, err := os.Open(file)
	if err != nil {
		return now, false
	}
	defer f.Close()
	h := sha256.New()
	if info.Size() <= maxKept || filepath.Ext(file) == ".go" {
		now.lines, err = io.ReadAll(io.TeeReader(f, h))
	} else {
		_, err = io.Copy(h, f)
	}
	now.sum = [sha256.Size]byte(h.Sum(nil))
	if filepath.Ext(file) == ".go" {
		now.shape = graph.Shape(now.lines)
	}
	if len(now.lines) > maxKept {
		now.lines = nil
	}
	return now, err == nil
}

// firstDifference is the number of the first line of b that a has not.
func firstDifference(a, b []byte) int {
	if a == nil || b == nil {
		return 0
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(b[:n], []byte("\n"))
}
