package goenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// shownLines are how many lines of a tool's words are fit for a screen.
const shownLines = 12

// Output runs a call and returns what it printed. A call that ends badly is an
// error in its own words, cut by Brief.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if words := strings.TrimSpace(stderr.String()); words != "" {
		return nil, errors.New(Brief(words))
	}
	if named := os.Getenv(goPath); named != "" && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s, which %s names", exec.ErrNotFound, named, goPath)
	}
	return nil, err
}

// Brief is a tool's words as far as they are fit for a screen: the first lines,
// with how many there are besides, and the file that has them all. It is one
// file for all of devbox, which the next long words replace.
func Brief(words string) string {
	lines := slices.Collect(strings.Lines(words))
	if len(lines) <= shownLines {
		return words
	}
	more := fmt.Sprintf("... and %d more lines", len(lines)-shownLines)
	if log, err := keep(words); err == nil {
		more += ", all in " + log
	}
	return strings.Join(lines[:shownLines], "") + more
}

func keep(words string) (log string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	log = filepath.Join(cache, "devbox", "go.log")
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return "", err
	}
	return log, os.WriteFile(log, []byte(words+"\n"), 0o600)
}
