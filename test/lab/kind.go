package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const containerdConfig = "etc/containerd/config.toml"

// kindFiles are the files that kind's own base image has, taken from kind's
// module: the entrypoint, units, containerd's configuration.
func kindFiles(lab goModule, version string) recipe {
	return recipe{
		name:  "kind files",
		text:  []string{version},
		files: []string{"kind.go"},
		build: func(ctx context.Context, b *bench) error {
			source, err := lab.source(ctx, b, kindModule)
			if err != nil {
				return err
			}
			return os.CopyFS(b.dir, os.DirFS(filepath.Join(source, "images/base/files")))
		},
	}
}

// sandboxImage reads which image containerd starts pods with.
func sandboxImage(config string) (string, error) {
	data, err := os.ReadFile(config)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && name == "sandbox_image" {
			return strings.Trim(value, `"`), nil
		}
	}
	return "", fmt.Errorf("%s names no sandbox_image", config)
}
