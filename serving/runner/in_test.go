package runner

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestIn: a process in another has its root, its process ids and its name, and no
// more rights; it ends with it. The next one has its own again.
func TestIn(t *testing.T) {
	w := isolated(t)
	image := w.payloadImage(t)
	defer image.Release()
	said := newLines()
	first, _ := w.start(t, Spec{Image: image, Name: "first", Hostname: "pod-1", Stdout: said}, "stubborn")
	if line := said.next(t); line != "ready" {
		t.Fatal(line)
	}
	in := Spec{Image: image, Name: "second", Hostname: "pod-1", In: first}
	if os.Geteuid() != 0 {
		if _, err := w.Start(t.Context(), w.spec(t, in, nil, "report")); err == nil || !strings.Contains(err.Error(), "a user who is not root") {
			t.Errorf("got %v", err)
		}
		return
	}
	if got := w.report(t, in); got.PID == 1 || got.Hostname != "pod-1" || got.UID != 65532 || got.Bounding != "0000000000000000" || got.NoNewPrivs != "1" {
		t.Errorf("got %+v", got)
	}
	if out, exit := w.output(t, in, "write", "/tmp/x"); exit.Code != 0 {
		t.Errorf("writing: exit %d: %s", exit.Code, out)
	}
	if out, exit := w.output(t, in, "cat", "/tmp/x"); exit.Code != 0 {
		t.Errorf("another finds nothing: exit %d: %s", exit.Code, out)
	}
	if out, exit := w.output(t, Spec{Image: image, Name: "beside"}, "cat", "/tmp/x"); exit.Code == 0 {
		t.Errorf("a process with a root of its own finds %s", out)
	}

	in.Stdout = said
	second, _ := w.start(t, in, "stubborn")
	if line := said.next(t); line != "ready" {
		t.Fatal(line)
	}
	if err := first.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, second)
	if second.Exit().Signal != 9 {
		t.Errorf("it ended with %+v", second.Exit())
	}
	in.Name = "late"
	if _, err := w.Start(t.Context(), w.spec(t, in, said, "report")); err == nil {
		t.Error("a process started in one that has ended")
	}
	for _, p := range []*Process{first, second} {
		if err := p.Remove(); err != nil {
			t.Error(err)
		}
	}
	if out, exit := w.output(t, Spec{Image: image, Name: "after"}, "ls", "/proc/[0-9]*"); exit.Code != 0 || strings.TrimSpace(out) != "/proc/1" {
		t.Errorf("the next one sees %s", out)
	}
}
