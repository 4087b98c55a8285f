package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A bench is where one recipe works: dir becomes the artefact, scratch is
// thrown away, log takes what commands print.
type bench struct {
	dir     string
	scratch string
	log     io.Writer
}

// command prepares a command whose output goes to the log. It runs in its own
// process group, so that an interrupted lab ends all of it and nothing else.
func (b *bench) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = b.log, b.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs a prepared command; its error names the command.
func (b *bench) run(cmd *exec.Cmd) error {
	fmt.Fprintf(b.log, "+ %s\n", strings.Join(cmd.Args, " "))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w", strings.Join(shortened(cmd.Args), " "), err)
	}
	return nil
}

// output runs a prepared command and returns what it prints on stdout.
func (b *bench) output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = io.MultiWriter(&out, b.log)
	err := b.run(cmd)
	return out.Bytes(), err
}

// packages installs Debian packages on this machine, unless they are there.
func (b *bench) packages(ctx context.Context, names ...string) error {
	missing, err := missingPackages(ctx, names)
	if err != nil || len(missing) == 0 {
		return err
	}
	for _, args := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...),
	} {
		cmd := b.command(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := b.run(cmd); err != nil {
			return fmt.Errorf("installing %s: %w", strings.Join(missing, ", "), err)
		}
	}
	return nil
}

// missingPackages asks dpkg which of the packages are not installed.
func missingPackages(ctx context.Context, names []string) ([]string, error) {
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		return nil, fmt.Errorf("the lab needs Debian packages (%s): %w", strings.Join(names, ", "), err)
	}
	// The exit status only says that some are unknown; the list says which are there.
	args := append([]string{"-W", "-f", "${db:Status-Status} ${Package}\n"}, names...)
	out, _ := exec.CommandContext(ctx, "dpkg-query", args...).Output()
	return notInstalled(names, string(out)), ctx.Err()
}

// notInstalled returns the names that the listing of dpkg-query does not call
// installed.
func notInstalled(names []string, listing string) []string {
	installed := map[string]bool{}
	for line := range strings.Lines(listing) {
		if status, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && status == "installed" {
			installed[name] = true
		}
	}
	var missing []string
	for _, name := range names {
		if !installed[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// shortened cuts a long command line for messages; the log has all of it.
func shortened(args []string) []string {
	const most = 6
	if len(args) <= most {
		return args
	}
	return append(args[:most:most], "...")
}
