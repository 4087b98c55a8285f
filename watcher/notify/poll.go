package notify

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often a folder is looked at whose file system may not tell.
const pollEvery = time.Second

// stamp is what tells one state of a file from the next without reading it.
type stamp struct {
	inode uint64
	size  int64
	at    time.Time
}

// poll looks at the watched folders that are mute until ctx ends. What it sees
// first when a folder is new to it is no change.
func (w *Watcher) poll(ctx context.Context, out chan<- change) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	seen := map[string]map[string]stamp{} // by folder and file
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, file := range w.look(seen) {
			select {
			case out <- change{file: file, at: time.Now()}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// look says what has changed in the mute folders since they were seen.
func (w *Watcher) look(seen map[string]map[string]stamp) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(seen, func(dir string, _ map[string]stamp) bool { return !w.mute[dir] })
	var changed []string
	for _, dir := range slices.Collect(maps.Keys(w.mute)) {
		now, folders := w.stamps(dir)
		before, known := seen[dir]
		seen[dir] = now
		if !known {
			continue
		}
		for file, s := range now {
			if before[file] != s {
				changed = append(changed, file)
			}
		}
		for file := range before {
			if _, there := now[file]; !there {
				changed = append(changed, file)
			}
		}
		for _, folder := range folders {
			if !w.watched[folder] {
				files, _ := w.appeared(folder) // the next look tries again
				changed = append(changed, files...)
			}
		}
	}
	return changed
}

// stamps are the files in a folder that matter, and the folders in it.
func (w *Watcher) stamps(dir string) (files map[string]stamp, folders []string) {
	files = map[string]stamp{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return files, nil // it is gone
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Type() == fs.ModeDir {
			folders = append(folders, path)
			continue
		}
		var s unix.Stat_t
		if len(w.relevant([]string{path})) > 0 && unix.Lstat(path, &s) == nil {
			files[path] = stamp{s.Ino, s.Size, time.Unix(s.Mtim.Unix())}
		}
	}
	return files, folders
}
