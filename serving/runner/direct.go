package runner

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/serving/runner/internal/container"
)

// koData is where ko puts the files of a program, and the variable that it
// tells the program by.
const koData = "KO_DATA_PATH"

// NeedsRootError says that an image cannot run without a root file system of
// its own, which processes do not get here.
type NeedsRootError struct {
	Image  string
	Need   string // what it cannot do without
	Reason string // why it does not get it
}

func (e *NeedsRootError) Error() string {
	return fmt.Sprintf("image %s needs a root file system of its own: %s; but %s. "+
		"Build it as a static binary (CGO_ENABLED=0, as ko does), let this user make namespaces, or use a container engine",
		e.Image, e.Need, e.Reason)
}

// direct plans to run the image's program as a process of this machine, as
// the user who called, if it is one that does not mind.
func (v view) direct(c *container.Spec, s Spec, config v1.Config, reason string) error {
	needs := func(format string, args ...any) error {
		return &NeedsRootError{Image: s.Image.ref, Need: fmt.Sprintf(format, args...), Reason: reason}
	}
	if dir := path.Join("/", c.Dir); dir != "/" {
		return needs("its working directory is %s", dir)
	}
	for _, m := range s.Mounts {
		if m.Source != m.Target {
			return needs("something is mounted at %s", m.Target)
		}
	}
	c.Env = environment(config.Env, s.Env, defaultPath, "HOME="+s.Dir)
	file, err := v.program(c.Args[0], c.Env)
	if err != nil {
		return fmt.Errorf("running %s: %w", c.Args[0], err)
	}
	need, err := needOf(file)
	if err != nil {
		return fmt.Errorf("running %s: %w", c.Args[0], err)
	}
	if need != "" {
		return needs("%s %s", c.Args[0], need)
	}
	c.Path, c.Dir = file, s.Dir
	for i, kv := range c.Env {
		if data, ok := strings.CutPrefix(kv, koData+"="); ok {
			if dir, err := v.host(data); err == nil {
				c.Env[i] = koData + "=" + dir
			}
		}
	}
	return nil
}

// program returns where on the machine a program of the image is.
func (v view) program(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return v.host(name)
	}
	var dirs string
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			dirs = value
		}
	}
	for _, dir := range filepath.SplitList(dirs) {
		file, err := v.host(path.Join(dir, name))
		if err != nil {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("no such program in the image's PATH (%s)", dirs)
}

// needOf says what a program needs of its root file system; "" is nothing.
func needOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	start := make([]byte, 4)
	if _, err := io.ReadFull(f, start); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	if bytes.HasPrefix(start, []byte("#!")) {
		return "is a script", nil
	}
	if !bytes.Equal(start, []byte(elf.ELFMAG)) {
		return "", nil // if it is no program of this machine, the kernel says so
	}
	program, err := elf.NewFile(f)
	if err != nil {
		return "", fmt.Errorf("reading its header: %w", err)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			loader, _ := io.ReadAll(p.Open()) // its name is for the message alone
			return fmt.Sprintf("is linked dynamically (%s)", bytes.TrimRight(loader, "\x00")), nil
		}
	}
	return "", nil
}
