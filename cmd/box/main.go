// Command box is the process of an embedded box: the API server with its etcd,
// the node, the registry and the serving stack. `devbox up` compiles it on a
// machine that has no container engine, starts it, and it outlives that.
//
//	box --name NAME --queue DIRECTORY
//
// It takes all else from the box's record, tells its steps through the pipe
// that it was started with, and logs to the box's log.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/box"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
	"github.com/kind-in-a-box/devbox/internal/idle"
)

func main() {
	name := flag.String("name", bootstrap.DefaultName, "name of the box, which `devbox up` has recorded")
	queue := flag.String("queue", "", "OCI layout with queue-proxy's image")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *name, *queue); err != nil {
		fmt.Fprintln(os.Stderr, "box:", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to undo
	}
}

// logMegabytes is how large the box's log gets before it is begun anew; one
// older log stays.
const logMegabytes = 10

func run(ctx context.Context, name, queue string) error {
	record, err := bootstrap.Engines{embedded.Engine{}}.Load(name)
	if err != nil {
		return err
	}
	events, closeEvents := process.Events()
	defer closeEvents()
	log := &lumberjack.Logger{Filename: record.Log(), MaxSize: logMegabytes, MaxBackups: 1}
	defer func() { _ = log.Close() }() // nobody is left to tell
	return box.Serve(ctx, box.ServeConfig{
		Box: record, Queue: queue, Log: log, Events: events,
		Ready: func() {
			closeEvents()
			idle.Settle()
		},
	})
}
