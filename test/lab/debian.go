package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// suite is the Debian release inside the node image. Programs that other images
// take from Debian (iptables, conntrack) come from the same root.
const suite = "bookworm"

// nodePackages is what kind's own base image installs, without the network
// storage clients and the rootless snapshotter.
var nodePackages = []string{
	"systemd", "systemd-sysv",
	"conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount", "kmod",
	"pigz", "gzip", "bash", "ca-certificates", "curl", "hostname", "jq", "procps",
}

// debianRoot is the root file system of a Debian machine with nodePackages: in
// root/ as files, for what other images take out of it and for running its
// programs, and in layer.tar as the node image's lowest layer.
func debianRoot() recipe {
	return recipe{
		name:  "debian root",
		text:  append([]string{suite}, nodePackages...),
		files: []string{"debian.go", "tree.go"},
		build: func(ctx context.Context, b *bench) error {
			if err := b.packages(ctx, "debootstrap", "debian-archive-keyring"); err != nil {
				return err
			}
			root := filepath.Join(b.dir, "root")
			args := []string{"--variant=minbase", "--include=" + strings.Join(nodePackages, ","), suite, root}
			if mirror := aptMirror(ctx, suite); mirror != "" {
				args = append(args, mirror)
			}
			cmd := b.command(ctx, "debootstrap", args...)
			// debootstrap mounts /proc and /sys in the new root. In a mount
			// namespace of its own they vanish with it, however it ends.
			cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
			if err := b.run(cmd); err != nil {
				return err
			}
			if err := trim(root); err != nil {
				return fmt.Errorf("trimming the root file system: %w", err)
			}
			t := newTree()
			if err := t.addRoot(root); err != nil {
				return err
			}
			return t.writeFile(filepath.Join(b.dir, "layer.tar"))
		},
	}
}

// trim makes a machine's root one for a container: no unit is started but those
// the node enables, journald does not read the kernel's log, and what only
// people at a terminal need is gone.
func trim(root string) error {
	for _, pattern := range []string{
		"lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
		"lib/systemd/system/multi-user.target.wants/*",
		"etc/systemd/system/*.wants/*",
		"lib/systemd/system/local-fs.target.wants/*",
		"lib/systemd/system/sockets.target.wants/*udev*",
		"lib/systemd/system/sockets.target.wants/*initctl*",
		"lib/systemd/system/basic.target.wants/*",
		"var/cache/apt/archives/*.deb", "var/cache/apt/*.bin", "var/lib/apt/lists/*", "var/log/*.log",
		"usr/share/man/*", "usr/share/info/*", "usr/share/locale/*",
	} {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, match := range matches {
			if err := os.RemoveAll(match); err != nil {
				return err
			}
		}
	}
	if err := trimDocumentation(filepath.Join(root, "usr/share/doc")); err != nil {
		return err
	}
	// binfmt registrations belong to the kernel, which is the host's.
	if err := os.Symlink("/dev/null", filepath.Join(root, "etc/systemd/system/systemd-binfmt.service")); err != nil {
		return err
	}
	dropIn := filepath.Join(root, "etc/systemd/journald.conf.d")
	if err := os.MkdirAll(dropIn, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dropIn, "container.conf"), []byte("[Journal]\nReadKMsg=no\n"), 0o644)
}

// trimDocumentation leaves of each package's documentation its licence.
func trimDocumentation(dir string) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "copyright" {
			return err
		}
		return os.Remove(name)
	})
}

// aptMirror is where this machine takes the suite from, or "" if it does not:
// then debootstrap's own default serves.
func aptMirror(ctx context.Context, suite string) string {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return ""
	}
	return mirrorOf(string(out), suite)
}

// mirrorOf finds the repository of the suite's main component in a listing of
// apt's sources.
func mirrorOf(listing, suite string) string {
	for line := range strings.Lines(listing) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[1] == suite && fields[2] == "main" {
			return fields[0]
		}
	}
	return ""
}
