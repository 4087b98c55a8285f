// Command queue is queue-proxy, the sidecar in every pod of a revision. It
// uses the standard library only, because it starts with every pod and stays
// as long.
//
//	queue            serves until it is told to end
//	queue await URL  returns when URL answers, for a postStart
//	queue standby C  waits in the container C of a pod that stands by, and becomes
//	                 what it is told to: the sidecar, or the user's program
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/kind-in-a-box/devbox/serving/queue"
	"github.com/kind-in-a-box/devbox/serving/standby"
)

// The sidecar lives from few, short-lived objects: collecting them early
// keeps a pod's overhead small, and the soft limit keeps a burst's garbage
// from staying.
const (
	gcPercent   = 50
	memoryLimit = 64 << 20
)

// cores is on how many cores the sidecar runs at a time. A request is a handful
// of goroutines that wake each other, each for some microseconds. With a second
// core the runtime wakes a thread of the kernel's for most of them, which costs
// more than what it has to do (docs/request-road.md#what-it-costs).
const cores = 1

// Who starts a container may have asked the kernel to end it with him, which the
// kernel notes for the first thread alone. So that one has to be the thread that
// becomes the user's program.
//
//nolint:gochecknoinits // main may be on another thread
func init() { runtime.LockOSThread() }

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
	if len(os.Args) == 3 && os.Args[1] == "standby" {
		standBy(ctx, log, os.Args[2])
	}
	runtime.UnlockOSThread()
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores)
	}
	exit(log, run(ctx, log))
}

// standBy returns when this process is told to go on as the sidecar. One that
// cannot follow its order has said so, and waits for its pod to be deleted: its
// end would be taken for that of the program that it was to become.
func standBy(ctx context.Context, log *slog.Logger, container string) {
	w := standby.Waiter{
		URL: os.Getenv(standby.URLVariable), Token: os.Getenv(standby.TokenVariable), Pod: os.Getenv(standby.PodVariable), Container: container,
	}
	if container != sidecar {
		w.Place = standby.NewPlace("/")
	}
	order, err := w.Wait(ctx)
	switch {
	case err == nil && container == sidecar:
		if err = order.Dress(); err == nil {
			return
		}
	case err == nil:
		err = w.Report(ctx, order.Become())
	}
	if ctx.Err() == nil {
		log.Error("this pod cannot become what it is to", "error", err)
	}
	<-ctx.Done()
	os.Exit(1)
}

// sidecar is the name of the container in which this program is queue-proxy.
const sidecar = "queue-proxy"

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
