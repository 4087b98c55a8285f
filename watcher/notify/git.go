package notify

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rebaseRests is how long a rebase must have done nothing before the tree
// is taken for the user's again: it may have stopped for him to edit.
const rebaseRests = 500 * time.Millisecond

// busy says whether git is changing the tree right now.
func (w *Watcher) busy() bool {
	w.mu.Lock()
	git := w.git
	w.mu.Unlock()
	return slices.ContainsFunc(git, gitBusy)
}

func gitBusy(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "index.lock")); err == nil {
		return true
	}
	for _, rebase := range []string{"rebase-merge", "rebase-apply"} {
		if _, err := os.Stat(filepath.Join(dir, rebase)); err != nil {
			continue
		}
		for _, moving := range []string{rebase, "HEAD", "index"} {
			info, err := os.Stat(filepath.Join(dir, moving))
			if err == nil && time.Since(info.ModTime()) < rebaseRests {
				return true
			}
		}
	}
	return false
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
