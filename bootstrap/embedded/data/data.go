// Package data is what the process of an embedded box keeps in the box's data
// directory that somebody else must know of: the runner's directory, with what
// runs out of it, and the sockets.
package data

import (
	"errors"
	"path/filepath"

	"github.com/kind-in-a-box/devbox/serving/runner"
)

// Of is the data directory of the box whose folder that is.
func Of(folder string) string { return filepath.Join(folder, "data") }

// Runner is the runner's directory in the data directory dir.
func Runner(dir string) string { return filepath.Join(dir, "runner") }

// Remove removes all state in dir, where no box runs, and what a killed one
// may have left running.
func Remove(dir string) error {
	return errors.Join(RemoveSockets(dir), runner.Remove(Runner(dir)), runner.RemoveAll(dir))
}
