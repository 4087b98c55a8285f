package box

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Usage is what a box on the embedded engine takes of this machine.
type Usage struct {
	Processes  int   // its own and its pods'
	Threads    int   // of all of them
	Files      int   // that all of them have open
	Goroutines int   // of its own process
	Disk       int64 // bytes of its folder
}

func (u Usage) String() string {
	return fmt.Sprintf("%d processes, %d threads, %d files open, %d goroutines, %d MiB of disk", u.Processes, u.Threads, u.Files, u.Goroutines, u.Disk>>20)
}

// Usage measures the box.
func (b *Box) Usage() Usage {
	b.t.Helper()
	usage := Usage{Goroutines: b.goroutines()}
	for _, p := range b.Processes() {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended meanwhile
		}
		files, err2 := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
		if err := errors.Join(err, err2); err != nil {
			b.t.Fatalf("measuring %s: %v", p, err)
		}
		usage.Processes++
		usage.Threads += len(threads)
		usage.Files += len(files)
	}
	var err error
	if usage.Disk, err = disk(b.Folder()); err != nil {
		b.t.Fatalf("measuring the box's folder: %v", err)
	}
	return usage
}

// goroutines asks the API server, which lives in the box's own process.
func (b *Box) goroutines() int {
	b.t.Helper()
	metrics, err := b.Kubernetes().RESTClient().Get().AbsPath("/metrics").DoRaw(b.t.Context())
	if err != nil {
		b.t.Fatalf("asking for the API server's metrics: %v", err)
	}
	for line := range strings.Lines(string(metrics)) {
		if number, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil {
				return n
			}
		}
	}
	b.t.Fatal("the API server's metrics do not tell of goroutines")
	return 0
}

// disk is what a folder takes, each file once however many names it has.
func disk(folder string) (int64, error) {
	var bytes int64
	seen := map[[2]uint64]bool{}
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		var stat syscall.Stat_t
		if err == nil {
			err = syscall.Lstat(path, &stat)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has gone meanwhile
		}
		if file := [2]uint64{stat.Dev, stat.Ino}; err == nil && !seen[file] {
			seen[file] = true
			bytes += stat.Blocks * 512
		}
		return err
	})
	return bytes, err
}

// Memory is what a process holds in bytes: all that is resident, and that with
// only its share of what others hold too.
type Memory struct{ Resident, Share int64 }

// MemoryOf measures a process of this machine.
func MemoryOf(t testing.TB, pid int) Memory {
	t.Helper()
	data, err := embedded{}.proc(nil, pid, rollup)
	if err != nil {
		t.Fatalf("measuring the memory of process %d: %v", pid, err)
	}
	return parseMemory(data)
}

// MemoryIn measures the processes of a pod, by the names of their containers: the
// first of each container and those that it has started.
func (b *Box) MemoryIn(pod *corev1.Pod) map[string]Memory {
	b.t.Helper()
	found, err := b.engine.processesOf(b, pod)
	if err != nil {
		b.t.Fatalf("finding the processes of pod %s: %v", pod.Name, err)
	}
	held := map[string]Memory{}
	for name, pid := range found {
		if held[name], err = b.memory(pid); err != nil {
			b.t.Fatalf("measuring the memory of %s in pod %s: %v", name, pod.Name, err)
		}
	}
	return held
}

// memory is that of a process and of its descendants.
func (b *Box) memory(pid int) (Memory, error) {
	data, err := b.engine.proc(b, pid, rollup)
	if err != nil {
		return Memory{}, err
	}
	all := parseMemory(data)
	children, err := b.engine.proc(b, pid, fmt.Sprintf("task/%d/children", pid))
	if err != nil {
		return Memory{}, err
	}
	for _, child := range strings.Fields(string(children)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			return Memory{}, fmt.Errorf("reading the children of process %d: %w", pid, err)
		}
		held, err := b.memory(n)
		if err != nil {
			return Memory{}, err
		}
		all.Resident += held.Resident
		all.Share += held.Share
	}
	return all, nil
}

const rollup = "smaps_rollup"

func parseMemory(data []byte) Memory {
	var m Memory
	for line := range strings.Lines(string(data)) {
		_, _ = fmt.Sscanf(line, "Rss: %d kB", &m.Resident) // another line is no mistake
		_, _ = fmt.Sscanf(line, "Pss: %d kB", &m.Share)
	}
	return Memory{m.Resident << 10, m.Share << 10}
}
