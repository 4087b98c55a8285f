// Command queue is queue-proxy, the sidecar in every pod of a revision. It
// uses the standard library only, because it starts with every pod and stays
// as long.
//
//	queue            serves until it is told to end
//	queue await URL  returns when URL answers, for a postStart
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/kind-in-a-box/devbox/serving/queue"
)

// The sidecar lives from few, short-lived objects: collecting them early
// keeps a pod's overhead small, and the soft limit keeps a burst's garbage
// from staying.
const (
	gcPercent   = 50
	memoryLimit = 64 << 20
)

func main() {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == "await" {
		ctx, cancel := context.WithTimeout(ctx, queue.AwaitTimeout)
		defer cancel()
		exit(log, queue.Await(ctx, os.Args[2]))
		return
	}
	exit(log, run(ctx, log))
}

func exit(log *slog.Logger, err error) {
	if err != nil {
		log.Error("queue-proxy ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	config, err := queue.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	config.RequestLog = os.Stdout
	return queue.Run(ctx, config, log)
}
