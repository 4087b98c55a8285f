// Command devbox starts devbox from a checkout, as in `go run ./cmd/devbox`. It
// is small, so that its first word comes after seconds: it compiles the whole
// program, which the root of the module is, tells how far that is, keeps it by
// its content, and becomes it. What is kept already starts at once.
//
//	go run ./cmd/devbox up ──> compile ──> exec the program up
//
// What is installed, by `make build`, by `go install` of the module, or from a
// release, is that program alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/kind-in-a-box/devbox/internal/compile"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	program, err := ready(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if err == nil {
		err = syscall.Exec(program, os.Args, os.Environ())
	}
	os.Exit(fail(err, interrupted))
}

// ready returns the program, having compiled it where it was not kept.
func ready(ctx context.Context) (string, error) {
	command, err := compile.Command(ctx)
	if err != nil {
		return "", err
	}
	screen := terminal.For(os.Stderr, os.Stderr, os.Getenv)
	defer screen.Close()
	return get(ctx, command, screen.Show)
}

// get tells of the compilation as of a step, where there is one.
func get(ctx context.Context, command compile.Program, events event.Sink) (string, error) {
	const step = "devbox"
	start, compiled := time.Now(), false
	program, err := command.Get(ctx, func(message string) {
		compiled = true
		events.Emit(event.Event{Kind: event.StepProgress, Step: step, Message: message})
	})
	if err == nil && compiled {
		events.Emit(event.Event{Kind: event.StepDone, Step: step, Message: "compiled, and kept", Duration: time.Since(start)})
	}
	return program, err
}

// The exit codes, which are the program's own.
const (
	codeFailure      = 1
	codePrerequisite = 3
	codeInterrupted  = 130
)

// fail says why there is no program, and returns the exit code.
func fail(err error, interrupted bool) int {
	code, next := codeFailure, ""
	switch {
	case interrupted:
		code, err, next = codeInterrupted, errors.New("interrupted"), "the same command goes on compiling from here"
	case errors.Is(err, exec.ErrNotFound):
		code, next = codePrerequisite, "install Go, or put the go command on the PATH"
	case errors.Is(err, compile.ErrNotFetched):
		code, next = codePrerequisite, "see that the network is there, and what `go env GOPROXY GOMODCACHE` names; the same command goes on from here"
	}
	fmt.Fprintln(os.Stderr, "devbox:", strings.ReplaceAll(err.Error(), "\n", "\n   "))
	if next != "" {
		fmt.Fprintln(os.Stderr, "   next:", next)
	}
	return code
}
