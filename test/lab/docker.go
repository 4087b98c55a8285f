package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// docker is the daemon that kind will use: one that answers already, or else
// one that the lab starts and that outlives it.
//
//	DIR/docker/shim         the OCI runtime that the daemon starts containers with
//	DIR/docker/dockerd.pid  the daemon, if the lab started it
//	DIR/docker/dockerd.log  what it says
type docker struct {
	cache *cache
	own   *artefact // has the shim, and pause for a first container
}

func (d *docker) path(name string) string { return filepath.Join(d.cache.dir, "docker", name) }

// ensure sees that a Docker daemon answers and can run what kind runs.
func (d *docker) ensure(ctx context.Context) error {
	if err := d.cache.ensure(ctx, d.own); err != nil {
		return err
	}
	version, err := d.version(ctx)
	if err != nil {
		if version, err = d.install(ctx); err != nil {
			return fmt.Errorf("starting Docker: %w", err)
		}
	}
	if err := d.try(ctx); err != nil {
		return fmt.Errorf("a Docker daemon (%s) answers but cannot run a privileged container as kind does: %w\n"+
			"stop that daemon and run the lab again: it then starts one with a runtime that this machine allows", version, err)
	}
	d.cache.say("%-26s %s runs privileged containers", "docker", version)
	return nil
}

// version asks the daemon, if one answers.
func (d *docker) version(ctx context.Context) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// install installs Docker if need be and starts its daemon.
func (d *docker) install(ctx context.Context) (string, error) {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return "", fmt.Errorf("DOCKER_HOST is %s, and nothing answers there", host)
	}
	if os.Geteuid() != 0 {
		return "", errors.New("no daemon answers, and only root can start one")
	}
	if err := os.MkdirAll(d.path(""), 0o755); err != nil {
		return "", err
	}
	log, err := os.Create(d.path("install.log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	b := &bench{log: log}
	// Only where there is no Docker of another origin, which Debian's would replace.
	if _, err := exec.LookPath("dockerd"); err != nil {
		if err := b.packages(ctx, "docker.io", "iptables", "iproute2", "kmod", "procps"); err != nil {
			return "", fmt.Errorf("%w; see %s", err, log.Name())
		}
	}
	// On a machine with systemd the package starts the daemon itself.
	if version, err := d.version(ctx); err == nil {
		return version, nil
	}
	if err := d.start(ctx); err != nil {
		return "", fmt.Errorf("%w; see %s", err, d.path("dockerd.log"))
	}
	return d.version(ctx)
}

// start starts the daemon in a session of its own and waits until it answers.
func (d *docker) start(ctx context.Context) error {
	// The daemon goes on using the shim when the cache has moved to a newer one.
	shim, err := os.ReadFile(d.own.path("shim"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.path("shim.new"), shim, 0o755); err != nil {
		return err
	}
	if err := os.Rename(d.path("shim.new"), d.path("shim")); err != nil {
		return err
	}
	log, err := os.Create(d.path("dockerd.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("dockerd", "--pidfile", d.path("dockerd.pid"), "--add-runtime", "shim="+d.path("shim"), "--default-runtime", "shim")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cache.say("%-26s started as process %d, log in %s; `go run . stop` in test/lab ends it", "docker", cmd.Process.Pid, log.Name())
	return waitFor(ctx, time.Minute, func() error {
		if pid, _ := syscall.Wait4(cmd.Process.Pid, nil, syscall.WNOHANG, nil); pid != 0 {
			return fmt.Errorf("waiting for the daemon: %w", errOver)
		}
		_, err := d.version(ctx)
		return err
	})
}

// try runs a privileged container, which is what a machine that withholds
// capabilities refuses first. Its image is one static program.
func (d *docker) try(ctx context.Context) error {
	const image = "devbox.local/lab-probe:1"
	scratch, err := os.MkdirTemp("", "devbox-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	t := newTree()
	t.file("/pause", d.own.path("pause"), 0o755)
	layer := filepath.Join(scratch, "root.tar")
	if err := t.writeFile(layer); err != nil {
		return err
	}
	run := func(args ...string) error {
		out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(out))
		}
		return nil
	}
	if err := run("import", layer, image); err != nil {
		return err
	}
	err = run("run", "--rm", "--privileged", "--network=none", "--name", fmt.Sprintf("devbox-lab-%d", os.Getpid()), image, "/pause", "-v")
	return errors.Join(err, run("rmi", image))
}

// stop ends the daemon that the lab started, and with it every container.
func (d *docker) stop(ctx context.Context) error {
	data, err := os.ReadFile(d.path("dockerd.pid"))
	if errors.Is(err, os.ErrNotExist) {
		d.cache.say("no Docker daemon of the lab is running")
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping Docker: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return fmt.Errorf("stopping Docker: reading %s: %w", d.path("dockerd.pid"), err)
	}
	if !isDockerd(pid) {
		d.cache.say("the lab's Docker daemon, process %d, is gone already", pid)
		return os.Remove(d.path("dockerd.pid"))
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping Docker: %w", err)
	}
	if err := waitFor(ctx, time.Minute, func() error {
		if isDockerd(pid) {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("stopping Docker: %w", err)
	}
	d.cache.say("the lab's Docker daemon, process %d, has stopped", pid)
	return nil
}

// isDockerd says whether a process is a living Docker daemon: a number in a
// file may by now belong to anybody, or to nobody but its parent.
func isDockerd(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // 4711 (dockerd) S 1 ...
	_, rest, named := strings.Cut(string(stat), "(dockerd) ")
	return err == nil && named && !strings.HasPrefix(rest, "Z")
}
