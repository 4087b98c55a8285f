package compile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// key names what a program is made of: the source and where it lies, which the
// compiler writes into the program, the list of modules with their checksums,
// and the compiler with its environment.
func (p Program) key(ctx context.Context) (string, error) {
	version, err := goenv.Output(p.goCommand(ctx, "version"))
	if err != nil {
		return "", fmt.Errorf("asking the go command for its version: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n", version, goenv.Fixed(p.OS, runtime.GOARCH), p.Source, p.Package)
	files := []string{"go.mod", "go.sum"}
	for _, folder := range p.Folders {
		if files, err = sources(p.Source, folder, files); err != nil {
			return "", err
		}
	}
	for _, file := range files {
		if err := addFile(sum, p.Source, file); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:32], nil
}

// sources adds the files of a folder, in order, but those of tests.
func sources(root, folder string, files []string) ([]string, error) {
	err := fs.WalkDir(os.DirFS(root), folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.Type().IsRegular() && !strings.HasSuffix(path, "_test.go"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the source in %s: %w", root, err)
	}
	return files, nil
}

func addFile(sum io.Writer, root, file string) error {
	f, err := os.Open(filepath.Join(root, file))
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	defer f.Close()
	fmt.Fprintf(sum, "%s\n", file)
	n, err := io.Copy(sum, f)
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	fmt.Fprintf(sum, "\n%d\n", n)
	return nil
}

// newest sorts files by their age, the newest first.
func newest(files []string) {
	age := func(file string) int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0 // gone: the oldest
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(files, func(a, b string) int { return int(min(1, max(-1, age(b)-age(a)))) })
}
