// Package app is the devbox command, which runs Knative services from source
// on one machine: it brings a box up, builds what is in a directory, serves
// it, and makes every saved file a new revision.
//
//	app.go      parses, wires, runs, and maps the error to an exit code, once
//	root.go     what all commands share: streams, flags, environment
//	problem.go  the exit codes, and an error in three parts: cause, evidence, next command
//	up.go ...   one small file a command
package app

import (
	"context"
	"io"
)

// Run is the whole of the command, called with what follows its name; it
// returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	silenceLibraries()
	ctx, stop := interruptible(ctx)
	defer stop()

	d := &devbox{stdin: stdin, stdout: stdout, stderr: stderr}
	return exit(ctx, d.execute(ctx, args), stderr)
}
