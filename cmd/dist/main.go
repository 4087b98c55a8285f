// Command dist makes the archives of a release: for each platform one, with
// what internal/release names, and the archives' checksums beside them. The
// same source, compiler and commit give the same bytes.
//
//	dist -out DIRECTORY [-platforms linux/amd64,darwin/arm64]
//
//	go build ──> devbox, box ──> sbom.spdx.json
//	ko       ──> images/                         \
//	cobra    ──> completions/, man/               >── SHA256SUMS ──> devbox-OS-ARCH.tar.gz
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/internal/compile"
	"github.com/kind-in-a-box/devbox/internal/goenv"
	"github.com/kind-in-a-box/devbox/internal/platform"
	"github.com/kind-in-a-box/devbox/internal/release"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

func main() {
	out := flag.String("out", "dist", "the folder of the archives")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64", "what to make archives for")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out, strings.Split(*platforms, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to undo
	}
}

// run makes all archives in a folder beside the one asked for, and moves them
// there when they are whole.
func run(ctx context.Context, out string, platforms []string) error {
	source, err := compile.Source(ctx)
	if err != nil {
		return err
	}
	committed, err := commitTime(ctx, source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("making the folder of the archives: %w", err)
	}
	work, err := os.MkdirTemp(out, ".new-")
	if err != nil {
		return fmt.Errorf("making a folder to work in: %w", err)
	}
	defer os.RemoveAll(work)
	archives := filepath.Join(work, "archives")
	if err := os.Mkdir(archives, 0o755); err != nil {
		return fmt.Errorf("making a folder to work in: %w", err)
	}
	for _, p := range platforms {
		goos, goarch, ok := strings.Cut(p, "/")
		if !ok {
			return fmt.Errorf("-platforms %s: it is an operating system and an architecture, as in linux/amd64", p)
		}
		name := "devbox-" + goos + "-" + goarch
		r := &archive{source: source, dir: release.Dir(filepath.Join(work, name)), goos: goos, goarch: goarch, committed: committed}
		if err := r.fill(ctx); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if err := pack(filepath.Join(archives, name+".tar.gz"), string(r.dir), name, committed); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		fmt.Println(name + ".tar.gz")
	}
	if err := release.Dir(archives).WriteSums(); err != nil {
		return err
	}
	return moveAll(archives, out)
}

// moveAll moves a folder's files to another.
func moveAll(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("listing the archives: %w", err)
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return fmt.Errorf("moving an archive to its place: %w", err)
		}
	}
	return nil
}

// commitTime is the time that all files of a release bear.
func commitTime(ctx context.Context, source string) (time.Time, error) {
	cmd := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct")
	cmd.Dir = source
	out, err := cmd.Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("asking git for the time of the commit: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of the commit: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// archive is what one archive is made of.
type archive struct {
	source       string
	dir          release.Dir
	goos, goarch string
	committed    time.Time
}

// fill makes the files of the archive.
func (a *archive) fill(ctx context.Context) error {
	if err := os.Mkdir(string(a.dir), 0o755); err != nil {
		return fmt.Errorf("making the archive's folder: %w", err)
	}
	for program, path := range map[string]string{release.Command: compile.Module, release.Box: compile.Module + "/cmd/box"} {
		if err := a.compile(ctx, program, path); err != nil {
			return err
		}
	}
	if err := a.images(ctx); err != nil {
		return err
	}
	if err := a.bill(release.Command, release.Box); err != nil {
		return err
	}
	if err := document(a.dir, a.committed); err != nil { //nolint:contextcheck // a command has its context when it is executed
		return err
	}
	for _, text := range []string{"LICENSE", "README.md"} {
		content, err := os.ReadFile(filepath.Join(a.source, text))
		if err != nil {
			return fmt.Errorf("reading what goes with it: %w", err)
		}
		if err := os.WriteFile(a.dir.Path(text), content, 0o644); err != nil {
			return fmt.Errorf("writing what goes with it: %w", err)
		}
	}
	return a.dir.WriteSums()
}

// compile makes a program that does not name this machine's folders.
func (a *archive) compile(ctx context.Context, program, path string) error {
	env, err := goenv.Own(ctx, a.goos, a.goarch)
	if err != nil {
		return err
	}
	cmd := goenv.Command(ctx, "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", a.dir.Path(program), path)
	cmd.Dir, cmd.Env = a.source, append(os.Environ(), env...)
	if _, err := goenv.Output(cmd); err != nil {
		return fmt.Errorf("compiling %s: %w", program, err)
	}
	return nil
}

// images makes the serving stack's images, which are Linux everywhere.
func (a *archive) images(ctx context.Context) error {
	builder, err := build.NewOwn(ctx, a.source, a.goarch, "-trimpath")
	if err != nil {
		return err
	}
	images := map[string]v1.Image{}
	for _, name := range []string{"queue", "serving"} {
		image, err := builder.Build(ctx, compile.Module+"/cmd/"+name)
		if err != nil {
			return fmt.Errorf("building the image of %s: %w", name, err)
		}
		images[name] = image
	}
	if err := platform.Save(a.dir.Path(release.Images), images); err != nil {
		return fmt.Errorf("writing the serving stack's images: %w", err)
	}
	return nil
}
