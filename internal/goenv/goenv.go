// Package goenv is the one place that says with which environment devbox calls
// the go command, by itself or through ko.
//
//	Own       devbox's own programs and images: nothing of what a shell or
//	          `go env -w` sets, but where modules and caches are
//	Services  the user's: theirs, but for linux on this machine without cgo
//	Command   the go command, which is ko's choice too
//	Output    what a call of it prints, or an error in its words
//
// Own and Services are lists of NAME=value to lay over os.Environ(), where the last of two
// equal names counts. What is kept of a build is kept by what these say.
package goenv

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
)

// neutral is an environment in which the go command answers whatever a shell
// or `go env -w` has set. A value that is empty is taken from the file that
// `go env -w` writes, so none is: a list of no experiments is a comma.
var neutral = []string{
	"GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH, "GOEXPERIMENT=,", "GOFIPS140=off", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local", "GOWORK=off",
}

// carried are the variables that say where the go command has its files and
// modules from, and nothing of what it makes of them.
var carried = []string{
	"GOAUTH", "GOCACHE", "GOCACHEPROG", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPATH", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOTMPDIR", "GOVCS",
}

// Own is for what devbox is made of, for an operating system and an
// architecture. What there is to set the go command itself is asked for, so
// that a later one's variables are among it. The error is exec.ErrNotFound
// where there is no go command.
func Own(ctx context.Context, goos, goarch string) ([]string, error) {
	cmd := Command(ctx, "env", "-json")
	cmd.Dir = os.TempDir() // in nobody's module
	cmd.Env = append(os.Environ(), neutral...)
	out, err := Output(cmd)
	if err != nil {
		return nil, fmt.Errorf("asking the go command for its environment: %w", err)
	}
	var values map[string]string
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, fmt.Errorf("reading the go command's environment: %w", err)
	}
	env := []string{"GOENV=off"}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case slices.Contains(carried, name):
			env = append(env, name+"="+values[name])
		case name != "GOROOT" && name != "GOENV": // GOROOT is the go command's own
			env = append(env, name+"=")
		}
	}
	return append(env, Fixed(goos, goarch)...), nil
}

// Fixed are those of Own's variables that have a value and choose what is
// made: what it is kept by.
func Fixed(goos, goarch string) []string {
	return append(Services(goos, goarch), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off")
}

// Services is for a user's program: what their shell sets for the go command
// is meant for it, but the machine that it runs on is the box's. .ko.yaml may
// say otherwise.
func Services(goos, goarch string) []string {
	return []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch}
}

// goPath is the variable that names ko's go command.
const goPath = "KO_GO_PATH"

// Command is a call of the go command: the one that KO_GO_PATH names, which ko
// goes by, or the one on the PATH.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, cmp.Or(os.Getenv(goPath), "go"), args...)
}
