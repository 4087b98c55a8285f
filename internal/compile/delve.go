package compile

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
)

// The module that pins Delve and all that it is made of. Its files are not
// called go.mod and go.sum, which would keep them out of ours.
var (
	//go:embed delve/delve.mod
	delveModule []byte
	//go:embed delve/delve.sum
	delveSums []byte
)

// Delve is the debugger as a program for pods, kept in the user's cache.
func Delve() (Program, error) {
	dir, err := programs()
	if err != nil {
		return Program{}, err
	}
	p := Program{Source: filepath.Join(dir, "delve"), Package: "github.com/go-delve/delve/cmd/dlv", Dir: dir, OS: "linux"}
	if err := os.MkdirAll(p.Source, 0o755); err != nil {
		return Program{}, fmt.Errorf("making the folder of Delve's module: %w", err)
	}
	for name, content := range map[string][]byte{"go.mod": delveModule, "go.sum": delveSums} {
		if err := put(filepath.Join(p.Source, name), content); err != nil {
			return Program{}, fmt.Errorf("writing Delve's module: %w", err)
		}
	}
	return p, nil
}

// put has a file hold something. Who reads it meanwhile sees all of that or
// all of what was there before.
func put(path string, content []byte) error {
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, content) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which has gone by then, if all was well
	if _, err = f.Write(content); err == nil {
		err = f.Close()
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
