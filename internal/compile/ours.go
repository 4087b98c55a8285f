package compile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// Module is our own module.
const Module = "github.com/kind-in-a-box/devbox"

// The folders that our programs are made of, besides go.mod and go.sum.
var (
	commandFolders = []string{"main.go", "bootstrap", "charts", "cmd/devbox/app", "internal", "serving", "watcher"}
	boxFolders     = []string{"bootstrap", "charts", "cmd/box", "internal", "serving"}
)

// Command is the devbox command, kept in the user's cache.
func Command(ctx context.Context) (Program, error) { return ours(ctx, "", commandFolders) }

// Box is the program that is an embedded box, kept in the user's cache.
func Box(ctx context.Context) (Program, error) { return ours(ctx, "/cmd/box", boxFolders) }

func ours(ctx context.Context, path string, folders []string) (Program, error) {
	source, err := Source(ctx)
	if err != nil {
		return Program{}, fmt.Errorf("finding devbox's source: %w", err)
	}
	dir, err := programs()
	if err != nil {
		return Program{}, err
	}
	return Program{Source: source, Folders: folders, Package: Module + path, Dir: dir}, nil
}

// programs is the folder in the user's cache in which compiled programs are kept.
func programs() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder of compiled programs: %w", err)
	}
	return filepath.Join(cache, "devbox", "programs"), nil
}

// Source returns the root of our module's source: the checkout this binary
// was built from, the one the working directory lies in, or, for an installed
// binary, the very version in the module cache, into which the go command
// fetches it.
func Source(ctx context.Context) (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		if root := filepath.Join(filepath.Dir(file), "..", ".."); isOurs(root) {
			return root, nil
		}
	}
	if out, err := goenv.Command(ctx, "list", "-m", "-f", "{{.Dir}}", Module).Output(); err == nil {
		if root := strings.TrimSpace(string(out)); isOurs(root) {
			return root, nil
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != Module || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "", errors.New("this binary does not name the version it was built from; run it inside a checkout of " + Module)
	}
	return download(ctx, Module+"@"+info.Main.Version)
}

// isOurs says whether dir is the root of our module.
func isOurs(dir string) bool {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && modfile.ModulePath(content) == Module
}

// download asks the go command for a version of our module.
func download(ctx context.Context, version string) (string, error) {
	env, err := goenv.Own(ctx, runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	cmd := goenv.Command(ctx, "mod", "download", "-json", version)
	cmd.Dir = os.TempDir() // not in anybody's module, whose replacements are not meant
	cmd.Env = append(os.Environ(), env...)
	out, failure := cmd.Output()
	var module struct{ Dir, Error string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("downloading %s: %w", version, errors.Join(failure, err))
	}
	if module.Error != "" {
		return "", fmt.Errorf("downloading %s: %s", version, module.Error)
	}
	return module.Dir, nil
}
