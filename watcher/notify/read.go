package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// change is one file that changed, or, without a file, more than is known.
type change struct {
	file string
	at   time.Time
}

// read turns events into changes until ctx ends.
func (w *Watcher) read(ctx context.Context, out chan<- change) error {
	for {
		var changed []string
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.fs.Events:
			var err error
			if changed, err = w.event(e); err != nil {
				return err
			}
		case err := <-w.fs.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watching files: %w", explain(err))
			}
			changed = []string{""}
		}
		for _, file := range changed {
			select {
			case out <- change{file: file, at: time.Now()}:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// event says which files an event tells of: none for noise, several for a
// folder that appeared, and "" for what cannot be told.
func (w *Watcher) event(e fsnotify.Event) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case e.Op == fsnotify.Chmod:
		return nil, nil
	case w.watched[e.Name] && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)):
		return w.gone(e.Name)
	case e.Has(fsnotify.Create):
		if info, err := os.Lstat(e.Name); err == nil && info.IsDir() {
			return w.appeared(e.Name)
		}
	}
	return w.relevant([]string{e.Name}), nil
}

// gone stops watching a folder, and waits for the wanted ones in it to come
// back.
func (w *Watcher) gone(dir string) ([]string, error) {
	for d := range w.watched {
		if within(dir, d) {
			_ = w.fs.Remove(d) // the system may have removed it already
			delete(w.watched, d)
			delete(w.mute, d)
		}
	}
	for _, d := range w.set.Dirs {
		if within(dir, d) {
			if err := w.arm(d); err != nil {
				return nil, err
			}
		}
	}
	for _, tree := range w.set.Trees {
		if within(dir, tree) {
			if _, err := w.walk(tree); err != nil {
				return nil, err
			}
		}
	}
	return []string{""}, nil
}

// appeared watches a new folder, if it or what is in it is wanted, and says
// which files are there already: they may be older than the watch.
func (w *Watcher) appeared(dir string) ([]string, error) {
	var files []string
	for _, d := range w.set.Dirs {
		if !within(dir, d) {
			continue
		}
		if err := w.arm(d); err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(d)
		if err != nil {
			continue // it is gone again, or not there yet
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(d, e.Name()))
			}
		}
	}
	for _, tree := range w.set.Trees {
		root := dir
		if within(dir, tree) {
			root = tree
		} else if !within(tree, dir) || !w.set.enters(dir) {
			continue
		}
		found, err := w.walk(root)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return w.relevant(files), nil
}

func (w *Watcher) relevant(files []string) []string {
	if w.set.Relevant == nil {
		return files
	}
	var kept []string
	for _, f := range files {
		if w.set.Relevant(f) {
			kept = append(kept, f)
		}
	}
	return kept
}

// arm watches a folder, or, as long as that is not there, the nearest above it.
func (w *Watcher) arm(dir string) error {
	for {
		at, err := w.addNearest(dir)
		if err != nil || at == dir {
			return err
		}
		// What was missing may have been made before at was watched.
		if info, err := os.Lstat(filepath.Join(at, firstBelow(at, dir))); err != nil || !info.IsDir() || !w.watched[at] {
			return nil
		}
	}
}

// addNearest watches the nearest folder from dir upwards that is one. One that
// may not be read has nothing that the go command could read either.
func (w *Watcher) addNearest(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err == nil && !info.IsDir() {
			err = fs.ErrNotExist
		}
		if err == nil {
			err = w.add(at)
		}
		switch {
		case errors.Is(err, fs.ErrPermission):
			return at, nil
		case !missing(err) || at == filepath.Dir(at):
			return at, err
		}
	}
}

// missing says whether an error is that of a path that is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// walk watches a folder and what is wanted below it, and says which files are
// there.
func (w *Watcher) walk(root string) ([]string, error) {
	if err := w.arm(root); err != nil {
		return nil, err
	}
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case missing(err):
			return nil // gone since it was listed
		case errors.Is(err, fs.ErrPermission):
			return fs.SkipDir
		case err != nil:
			return err
		case !d.IsDir():
			files = append(files, path)
			return nil
		case path != root && !w.set.enters(path):
			return fs.SkipDir
		}
		if err := w.add(path); err != nil && !missing(err) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil
	})
	return files, err
}

func (s Set) enters(dir string) bool { return s.Enters == nil || s.Enters(dir) }

func (w *Watcher) add(dir string) error {
	if w.watched[dir] {
		return nil
	}
	if err := w.fs.Add(dir); err != nil {
		return fmt.Errorf("watching %s: %w", dir, explain(err))
	}
	w.watched[dir] = true
	if w.isMute(dir) {
		w.mute[dir] = true
	}
	return nil
}

// within says whether path is dir or lies below it.
func within(dir, path string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == filepath.Separator || dir[len(dir)-1] == filepath.Separator)
}

// firstBelow is the first step on the way from dir to path.
func firstBelow(dir, path string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(path, dir), string(filepath.Separator))
	first, _, _ := strings.Cut(rest, string(filepath.Separator))
	return first
}
