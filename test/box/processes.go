package box

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Process is a process of this machine. Numbers are used again, so it is its
// number and its start together that tell it from all others.
type Process struct {
	PID, Parent int
	Started     string // in clock ticks since the machine's start
	Command     string
}

func (p Process) String() string { return fmt.Sprintf("process %d %s", p.PID, p.Command) }

// processes are all that run now, zombies apart.
func processes() ([]Process, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return nil, errors.Join(err, errors.New("there is no /proc to find processes in"))
	}
	var all []Process
	for _, stat := range stats {
		p, err := process(stat)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH): // it has ended meanwhile
		case err != nil:
			return nil, err
		case p != nil:
			all = append(all, *p)
		}
	}
	return all, nil
}

// process reads /proc/<pid>/stat; nil is a zombie.
func process(stat string) (*Process, error) {
	data, err := os.ReadFile(stat)
	if err != nil {
		return nil, err
	}
	// 17 (name, which may hold anything) S 1 ...
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	p := &Process{Command: string(data[open+1 : end]), Started: fields[19]}
	if fields[0] == "Z" {
		return nil, nil
	}
	if p.PID, err = strconv.Atoi(strings.TrimSpace(string(data[:open]))); err != nil {
		return nil, err
	}
	p.Parent, err = strconv.Atoi(fields[1])
	return p, err
}

// family are p and all that descend from it.
func family(all []Process, p int) []Process {
	var found []Process
	for _, one := range all {
		if one.PID == p {
			found = append(found, one)
		}
		if one.Parent == p {
			found = append(found, family(all, one.PID)...)
		}
	}
	return found
}

// PID is the number of the box's own process on the embedded engine.
func (b *Box) PID() int {
	b.t.Helper()
	pid, err := embedded{}.pid(b)
	if err != nil {
		b.t.Fatalf("looking for the box's process: %v", err)
	}
	return pid
}

// Processes are the box's own process on the embedded engine and all that
// descend from it.
func (b *Box) Processes() []Process {
	b.t.Helper()
	return family(b.all(), b.PID())
}

// Kill ends the box's process on the embedded engine, if it runs, with no time
// for a word, and returns what were Processes in that moment.
func (b *Box) Kill() []Process {
	b.t.Helper()
	pid, err := embedded{}.pid(b)
	if errors.Is(err, errNotUp) {
		return nil
	}
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGSTOP) // so that it starts none meanwhile
	}
	if err != nil {
		b.t.Fatalf("killing the box's process: %v", err)
	}
	known := family(b.all(), pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		b.t.Fatalf("killing the box's process: %v", err)
	}
	return known
}

// Alive are those of the given processes that still run.
func (b *Box) Alive(known []Process) []Process {
	b.t.Helper()
	all := b.all()
	return slices.DeleteFunc(slices.Clone(known), func(p Process) bool {
		return !slices.ContainsFunc(all, func(now Process) bool { return now.PID == p.PID && now.Started == p.Started })
	})
}

// Strays are the processes that have to do with the box's folder and descend
// from none of the given ones.
func (b *Box) Strays(known ...int) []Process {
	b.t.Helper()
	all := b.all()
	var descended, strays []Process
	for _, pid := range known {
		descended = append(descended, family(all, pid)...)
	}
	for _, p := range all {
		if p.PID != os.Getpid() && !slices.Contains(descended, p) && p.concerns(b.home) {
			strays = append(strays, p)
		}
	}
	return strays
}

func (b *Box) all() []Process {
	b.t.Helper()
	all, err := processes()
	if err != nil {
		b.t.Fatalf("looking for processes: %v", err)
	}
	return all
}

// concerns says whether p has to do with a folder: by its environment, its
// arguments, its program, where it works, or what is mounted for it alone.
func (p Process) concerns(folder string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(p.PID))
	files, links := []string{"environ", "cmdline"}, []string{"exe", "cwd", "root"}
	if mounts, err := os.Readlink(filepath.Join(proc, "ns/mnt")); err == nil && mounts != ourMounts() {
		files = append(files, "mountinfo")
	}
	for _, file := range files { // what cannot be read is another user's, or has ended
		if data, err := os.ReadFile(filepath.Join(proc, file)); err == nil && bytes.Contains(data, []byte(folder)) {
			return true
		}
	}
	for _, link := range links {
		if to, err := os.Readlink(filepath.Join(proc, link)); err == nil && strings.HasPrefix(to, folder) {
			return true
		}
	}
	return false
}

// ourMounts names the mount namespace of the test.
func ourMounts() string {
	name, _ := os.Readlink("/proc/self/ns/mnt") // "", which no process has, where there is none
	return name
}
