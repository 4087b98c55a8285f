// Command serving is the in-cluster half of devbox: one image, its pods.
//
//	serving controller   Services to Pods, and how many of them
//	serving activator    every request's way from the gateway to a pod
//	serving registry     the box's images
//	serving targets      beside Prometheus, where there is one: whom to ask
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := root(os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "serving:", err)
		os.Exit(1)
	}
}

// logger makes the log of a command; it is called after flags are parsed.
type logger func() *slog.Logger

func root(stderr io.Writer) *cobra.Command {
	var level slog.Level
	cmd := &cobra.Command{
		Use:           "serving",
		Short:         "The serving platform of a devbox",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.PersistentFlags().TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	log := func() *slog.Logger {
		h := slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})
		crlog.SetLogger(logr.FromSlogHandler(h))
		klog.SetLogger(logr.FromSlogHandler(h))
		return slog.New(h)
	}
	cmd.AddCommand(controllerCommand(log), activatorCommand(log), registryCommand(log), targetsCommand(log))
	return cmd
}
