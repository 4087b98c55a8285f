package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// tempPrefix begins the names of the folders in which builds keep what they
// need for a while; the process that made one follows.
const tempPrefix = "devbox-build-"

// makeTemp makes a folder to build in.
func makeTemp() (string, error) {
	dir, err := os.MkdirTemp("", tempPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", fmt.Errorf("making a folder to build in: %w", err)
	}
	return dir, nil
}

// RemoveTemp removes what the builds of this process need, for one that is to
// end before they do.
func RemoveTemp() { removeTemp(func(pid int) bool { return pid == os.Getpid() }) }

// removeStale removes what processes that are gone have left.
func removeStale() {
	removeTemp(func(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

func removeTemp(of func(pid int) bool) {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*")) // the pattern is well formed
	for _, dir := range found {
		owner, _, ours := strings.Cut(strings.TrimPrefix(filepath.Base(dir), tempPrefix), "-")
		if pid, err := strconv.Atoi(owner); ours && err == nil && of(pid) {
			_ = os.RemoveAll(dir) // it may be another user's
		}
	}
}
