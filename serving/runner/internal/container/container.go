// Package container is what happens between a process being made and the
// image's program taking over: a program that links it becomes that process
// when it is re-executed under Name.
//
//	Runner --clone, exec self--> init --read Spec--> mounts, user, capabilities --exec--> the image's program
//	       <---------------------- what went wrong, if anything -----------------/
//
// It imports nothing but a little of the standard library. Go initializes a
// package when its imports are, and of those that are ready the one with the
// smallest path; so what a large program links besides never runs here. That
// is 50 ms of a program with kube-apiserver in it. A single import that is
// ready late spoils it: with path/filepath it would be 30.
package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// Name is what a program is called as (its zeroth argument) to be a container.
const Name = "devbox-container"

// The files that a container is started with, after the three of every program
// and those that are the image's program's own. How many these are is the first
// argument.
var (
	specFile  = 3 // its Spec as JSON; stays open for writing as long as the Runner lives
	errorFile = 4 // takes one line that says what went wrong; closed by the program taking over
)

// Spec says what to become.
type Spec struct {
	Path string   // the program's file on this machine; "": Args[0] is looked up in the root
	Args []string // of the program, its name first
	Env  []string // whole
	Dir  string   // where it starts
	Root *Root    // nil: the machine's own, as the user who called
}

// Root is the root of the file system, and all that goes with having one.
type Root struct {
	Shared   bool     // the process is in another's already: all but the user is as there
	Dir      string   // of the process; upper, work and root are in it
	Layers   []string // the uppermost first
	Mounts   []Mount
	ReadOnly bool
	Hostname string // "": the machine's
	OwnPIDs  bool   // the process is the first of new process ids
	UserNS   bool   // it is in a user namespace, which has made it the user already
	UID, GID int
	Groups   []int
	Trial    bool // end well, where the program would take over
}

// Mount is a file or directory of the machine at a place in the container.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

//nolint:gochecknoinits // only here does the rest of the program not run
func init() {
	if len(os.Args) == 0 || os.Args[0] != Name {
		return
	}
	if len(os.Args) > 1 {
		given, _ := strconv.Atoi(os.Args[1]) // the Runner's word
		specFile, errorFile = specFile+given, errorFile+given
	}
	syscall.CloseOnExec(specFile)
	syscall.CloseOnExec(errorFile)
	if err := become(); err != nil {
		_, _ = syscall.Write(errorFile, []byte(err.Error())) // nobody is left to tell
		os.Exit(1)
	}
	os.Exit(0) // it was a trial
}

// become returns only when it could not, or was a trial. It runs on the
// program's first thread, which is the one that the calls for a single thread
// need: others end when the program takes over.
func become() error {
	var s Spec
	if err := json.NewDecoder(orders{}).Decode(&s); err != nil {
		return fmt.Errorf("reading what to run: %w", err) // the Runner is gone
	}
	syscall.Umask(0o022) // as containers start
	if s.Root != nil {
		if !s.Root.Shared {
			if err := s.Root.enter(s.Dir); err != nil {
				return err
			}
		}
		if err := s.Root.drop(); err != nil {
			return err
		}
	}
	if err := tie(); err != nil {
		return err
	}
	if s.Root != nil && s.Root.Trial {
		return nil
	}
	if err := os.Chdir(s.Dir); err != nil {
		return fmt.Errorf("changing to the working directory: %w", err)
	}
	file := s.Path
	if file == "" {
		var err error
		if file, err = lookup(s.Args[0], s.Env); err != nil {
			return err
		}
	}
	err := syscall.Exec(file, s.Args, s.Env)
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("running %s: %w: it is made for another machine, or is a script that names no interpreter", s.Args[0], err)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("running %s: its interpreter or loader is not in the image", s.Args[0])
	}
	return fmt.Errorf("running %s: %w", s.Args[0], err)
}

// orders reads the specFile. An os.File would close it when it is collected.
type orders struct{}

func (orders) Read(p []byte) (int, error) {
	n, err := syscall.Read(specFile, p)
	if n == 0 && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return max(n, 0), err
}

// lookup finds a program as execvp would.
func lookup(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("running %s: no such file in the image", name)
		}
		return name, nil
	}
	var dirs string
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			dirs = v
		}
	}
	for _, dir := range strings.Split(dirs, ":") {
		file := path.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("running %s: no such program in the image's PATH (%s)", name, dirs)
}
