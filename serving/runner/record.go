package runner

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// record says of a process what the next Runner needs to end it and to clean
// up. It is written before the process does anything.
type record struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start string `json:"start"` // when the kernel made the process, so that its id is not taken for another's
	Dir   string `json:"dir"`
}

// sweep ends the processes that the records in dir name, and removes their
// directories.
func sweep(dir string, log *slog.Logger) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking for processes of an earlier runner: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		var r record
		if strings.HasPrefix(e.Name(), temporary) || readJSON(path, &r) != nil {
			_ = RemoveAll(path) // it names no process, because none was let go before the rename
			continue
		}
		if err := r.end(log); err != nil {
			return fmt.Errorf("ending %s (process %d), which an earlier runner left: %w", r.Name, r.PID, err)
		}
		if err := RemoveAll(r.Dir); err != nil {
			return fmt.Errorf("removing the directory of %s, which an earlier runner left: %w", r.Name, err)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing the record of %s: %w", r.Name, err)
		}
	}
	return nil
}

// end kills the recorded process and its group, and waits until it is gone.
func (r *record) end(log *slog.Logger) error {
	for limit := time.Now().Add(10 * time.Second); r.alive(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			return errors.New("it does not end; end it by hand")
		}
		log.Info("ending a process of an earlier runner", "name", r.Name, "pid", r.PID)
		for _, id := range []int{-r.PID, r.PID} {
			if err := unix.Kill(id, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// alive says whether the process that was recorded still runs: its id, and
// its start.
func (r *record) alive() bool {
	start, err := startOf(r.PID)
	return err == nil && start == r.Start
}
