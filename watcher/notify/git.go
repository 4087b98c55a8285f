package notify

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// rebaseRests is how long a rebase must have done nothing before the tree
	// is taken for the user's again: it may have stopped for him to edit.
	rebaseRests = 500 * time.Millisecond
	// lockStale is how much older than a change a lock may be and still be of
	// whoever made the change. One that a git which is gone has left, or one
	// whose editor is open for a message, holds nothing.
	lockStale = 2 * time.Second
)

// busy names the file by which git says that it is changing the tree, where
// it has been since a change was made; empty where it is not.
func (w *Watcher) busy(since time.Time) string {
	w.mu.Lock()
	git := w.git
	w.mu.Unlock()
	for _, dir := range git {
		if lock := gitBusy(dir, since); lock != "" {
			return lock
		}
	}
	return ""
}

func gitBusy(dir string, since time.Time) string {
	lock := filepath.Join(dir, "index.lock")
	if info, err := os.Stat(lock); err == nil && recent(info, since, lockStale) {
		return lock
	}
	for _, rebase := range []string{"rebase-merge", "rebase-apply"} {
		if _, err := os.Stat(filepath.Join(dir, rebase)); err != nil {
			continue
		}
		for _, moving := range []string{rebase, "HEAD", "index"} {
			info, err := os.Stat(filepath.Join(dir, moving))
			if err == nil && recent(info, time.Now(), rebaseRests) {
				return filepath.Join(dir, rebase)
			}
		}
	}
	return ""
}

// recent says whether a file was changed less than limit before since, or
// after it, but not in a future that only a wrong clock knows.
func recent(info os.FileInfo, since time.Time, limit time.Duration) bool {
	at := info.ModTime()
	return since.Sub(at) < limit && time.Until(at) < lockStale
}

// gitDirs are git's own folders of the work trees that dirs lie in.
func gitDirs(dirs []string) []string {
	var found []string
	seen := map[string]bool{}
	for _, dir := range dirs {
		for at := dir; !seen[at]; at = filepath.Dir(at) {
			seen[at] = true
			if git := gitDir(at); git != "" {
				found = append(found, git)
				break
			}
		}
	}
	return found
}

// gitDir is git's folder of the work tree whose top dir is, and empty if it
// is none. In a linked work tree .git is a file that says where it is.
func gitDir(dir string) string {
	path := filepath.Join(dir, ".git")
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return ""
	case info.IsDir():
		return path
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	git, ok := strings.CutPrefix(strings.TrimSpace(string(content)), "gitdir: ")
	if !ok {
		return ""
	}
	if !filepath.IsAbs(git) {
		git = filepath.Join(dir, git)
	}
	return git
}
