package runner

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// state is what a leak would make grow.
type state struct{ files, goroutines, mounts, children int }

func stateOf(t *testing.T) state {
	t.Helper()
	read := func(name string) string {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Skip(err) // not on this system
		}
		return string(content)
	}
	return state{
		files:      len(entries(t, "/proc/self/fd")),
		goroutines: runtime.NumGoroutine(),
		mounts:     strings.Count(read("/proc/self/mounts"), "\n"),
		children:   len(strings.Fields(read("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children"))),
	}
}

func TestNothingIsLeftOfFiftyProcesses(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		image := w.payloadImage(t)
		defer image.Release()
		w.output(t, Spec{Image: image}, "exit", "0") // so that what is made once is there
		w.transport.CloseIdleConnections()
		before := stateOf(t)
		for i := range 25 {
			w.output(t, Spec{Image: image}, "exit", "1")
			p, err := w.Start(t.Context(), w.spec(t, Spec{Image: image, Name: fmt.Sprint(i)}, nil, "stubborn"))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Remove(); err != nil {
				t.Fatal(err)
			}
		}
		var after state
		eventually(t, fmt.Sprintf("the state from before, %+v", before), func() bool {
			after = stateOf(t)
			return after.files <= before.files && after.goroutines <= before.goroutines && after.mounts == before.mounts && after.children == 0
		})
		for _, dir := range []string{"processes", "runner/running"} {
			if left := entries(t, filepath.Join(w.dir, dir)); len(left) != 0 {
				t.Errorf("in %s are %v, want nothing", dir, left)
			}
		}
	})
}

// However the program with the Runner ends, its processes end too, and the
// next Runner cleans up.
func TestKillingTheRunnerLeavesNothing(t *testing.T) {
	for name, direct := range map[string]bool{"isolated": false, "direct": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{Direct: true})
			program, err := payload()
			if err != nil {
				t.Fatal(err)
			}
			ref := w.push(t, "victim", v1.Config{}, layer(t, dir("ko-app", 0o555), file("ko-app/payload", 0o555, string(program))))
			home := t.TempDir()
			pids, victim := startVictim(t, home, ref, direct)
			if len(pids) != 3 {
				t.Fatalf("the victim runs %v", pids)
			}
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = victim.Wait() // it was killed
			for _, pid := range pids {
				eventually(t, fmt.Sprintf("the end of process %d", pid), func() bool { _, err := startOf(pid); return err != nil })
			}
			if left := len(entries(t, filepath.Join(home, "runner/running"))); left != 3 {
				t.Errorf("%d records are left, want 3 for the next runner", left)
			}
			r, err := New(filepath.Join(home, "runner"), Options{Direct: direct})
			if err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{"processes", "runner/running"} {
				if left := entries(t, filepath.Join(home, dir)); len(left) != 0 {
					t.Errorf("in %s are %v, want nothing", dir, left)
				}
			}
			if _, err := r.Pull(t.Context(), ref, false, nil); err != nil {
				t.Error(err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func startVictim(t *testing.T, home, ref string, direct bool) (pids []int, victim *exec.Cmd) {
	t.Helper()
	victim = exec.Command("/proc/self/exe")
	victim.Env = append(os.Environ(), victimDir+"="+home, victimImage+"="+ref, victimDirect+"="+strconv.FormatBool(direct))
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	victim.Stderr = os.Stderr
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	for said := bufio.NewScanner(out); said.Scan() && said.Text() != "running"; {
		pid, err := strconv.Atoi(said.Text())
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids, victim
}

// What the kernel did not end, a sweep ends: here it is this test's child,
// which knows nothing of a runner.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Skip(err)
	}
	ended := make(chan struct{})
	go func() { _ = child.Wait(); close(ended) }()
	start, err := startOf(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeDirs(dir, "running", "process/upper"); err != nil {
		t.Fatal(err)
	}
	other := record{Name: "other", PID: os.Getpid(), Start: "another time", Dir: filepath.Join(dir, "none")}
	left := record{Name: "left", PID: child.Process.Pid, Start: start, Dir: filepath.Join(dir, "process")}
	for _, r := range []record{other, left} { // the first must survive
		if err := writeJSON(filepath.Join(dir, "running", r.Name+".json"), r); err != nil {
			t.Fatal(err)
		}
	}
	r, err := New(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	<-ended
	if left := entries(t, filepath.Join(dir, "running")); len(left) != 0 {
		t.Errorf("records stay: %v", left)
	}
	if _, err := os.Stat(left.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory stays: %v", err)
	}
}
