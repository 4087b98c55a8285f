package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var quiet = log.New(io.Discard, "", 0)

// report is what the payload says of itself.
type report struct {
	UID, GID, PID       int
	Groups              []int
	Hostname, Dir       string
	Env, Args           []string
	Effective, Bounding string
	NoNewPrivs          string
}

func (w *world) report(t testing.TB, s Spec) report {
	t.Helper()
	out, exit := w.output(t, s, "report")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || exit.Code != 0 {
		t.Fatalf("exit %d: %s", exit.Code, out)
	}
	slices.Sort(r.Env)
	if os.Geteuid() != 0 {
		r.Groups = nil // those of the caller, whom the kernel lets drop none
	}
	return r
}

// isolated is a world where processes have a root of their own.
func isolated(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, Options{})
	if got := w.Isolation(); !got.Root || !got.PID {
		if os.Getenv("RUNNER_TEST_ISOLATION") != "" {
			t.Fatal(got.Reason)
		}
		t.Skip(got.Reason)
	}
	return w
}

func TestProcessIsWhomTheImageSays(t *testing.T) {
	w := isolated(t)
	image := w.payloadImage(t)
	defer image.Release()
	none, asRoot := "0000000000000000", "00000000800405fb"
	for _, test := range []struct {
		name string
		spec Spec
		want report
	}{
		{"the image's", Spec{}, report{
			UID: 65532, GID: 65532, Groups: []int{7000}, Dir: "/", Effective: none, Bounding: none,
			Env: []string{"HOME=/home/nonroot", "KO_DATA_PATH=/var/run/ko", "PATH=/bin:/ko-app"},
		}},
		{"the caller's", Spec{User: "1000:2000", WorkingDir: "/new/dir", Hostname: "pod-1", Env: []string{"PATH=/ko-app", "A=1", "A=2"}}, report{
			UID: 1000, GID: 2000, Dir: "/new/dir", Hostname: "pod-1", Effective: none, Bounding: none,
			Env: []string{"A=2", "HOME=/", "HOSTNAME=pod-1", "KO_DATA_PATH=/var/run/ko", "PATH=/ko-app"},
		}},
		{"root", Spec{User: "root", Args: []string{"payload", "report"}}, report{
			Dir: "/", Effective: asRoot, Bounding: asRoot,
			Env: []string{"HOME=/root", "KO_DATA_PATH=/var/run/ko", "PATH=/bin:/ko-app"},
		}},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
			test.spec.Image = image
			test.want.PID, test.want.NoNewPrivs = 1, "1"
			got := w.report(t, test.spec)
			if test.spec.Args != nil {
				test.want.Args = test.spec.Args
			} else {
				test.want.Args = []string{"/ko-app/payload", "report"}
			}
			if test.want.Hostname == "" {
				test.want.Hostname, _ = os.Hostname()
			}
			if len(got.Groups) == 0 || os.Geteuid() != 0 {
				got.Groups, test.want.Groups = nil, nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRoot(t *testing.T) {
	w := isolated(t)
	image := w.payloadImage(t)
	defer image.Release()
	out, _ := w.output(t, Spec{Image: image, Hostname: "pod-1"}, "ls", "/*", "/dev/*", "/etc/*", "/proc/[0-9]*", "/tmp/*")
	want := `/dev /etc /home /ko-app /proc /run /sys /tmp /var
/dev/fd /dev/full /dev/null /dev/random /dev/shm /dev/stderr /dev/stdin /dev/stdout /dev/tty /dev/urandom /dev/zero
/etc/group /etc/hostname /etc/hosts /etc/passwd /etc/resolv.conf
/proc/1
`
	var got []string
	for group := range strings.SplitSeq(out, "\n/") {
		got = append(got, strings.TrimPrefix(strings.TrimSpace(group), "/"))
	}
	if diff := cmp.Diff(strings.Fields(want), prefixed(got)); diff != "" {
		t.Error(diff)
	}
	out, _ = w.output(t, Spec{Image: image, Hostname: "pod-1"}, "cat", "/etc/hostname", "/etc/hosts", "/dev/null")
	if !strings.HasPrefix(out, "pod-1\n") || !strings.HasSuffix(out, "127.0.0.1\tpod-1\n") {
		t.Errorf("the names are %q", out)
	}
	// Who writes to what containers call their output must be able to open it.
	for _, user := range []string{"0", "65532"} {
		out, exit := w.output(t, Spec{Image: image, User: user}, "write", "/dev/stdout", "/dev/null", "/tmp/x", "/dev/shm/x")
		if exit.Code != 0 || out != "written\n" {
			t.Errorf("user %s: exit %d: %s", user, exit.Code, out)
		}
	}
	// What one process writes, neither the image nor the next one has.
	if out, exit := w.output(t, Spec{Image: image}, "cat", "/tmp/x"); exit.Code == 0 {
		t.Errorf("a process finds what another wrote: %s", out)
	}
}

func prefixed(names []string) (out []string) {
	for _, n := range names {
		if n != "" {
			out = append(out, "/"+n)
		}
	}
	return out
}

func TestReadOnlyRootAndMounts(t *testing.T) {
	w := isolated(t)
	image := w.payloadImage(t)
	defer image.Release()
	host := t.TempDir()
	if err := os.Chmod(host, 0o777); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(host, "config")
	if err := os.WriteFile(config, []byte("config\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := Spec{Image: image, ReadOnlyRoot: true, Mounts: []Mount{
		{Source: host, Target: "/var/run/data/deep/er", ReadOnly: true},
		{Source: host, Target: "/var/run/data"}, // and the other lies in it
		{Source: config, Target: "/etc/app/config", ReadOnly: true},
	}}
	out, exit := w.output(t, s, "cat", "/etc/app/config", "/var/run/data/config", "/var/run/data/deep/er/config")
	if exit.Code != 0 || out != "config\nconfig\nconfig\n" {
		t.Errorf("exit %d: %s", exit.Code, out)
	}
	for path, want := range map[string]bool{
		"/var/run/data/new": true, "/dev/shm/new": true,
		"/new": false, "/tmp/new": false, "/var/run/data/deep/er/new": false, "/etc/app/config": false,
	} {
		if out, exit := w.output(t, s, "write", path); (exit.Code == 0) != want {
			t.Errorf("writing %s: exit %d: %s", path, exit.Code, out)
		}
	}
	if content, err := os.ReadFile(filepath.Join(host, "new")); err != nil || string(content) != "written\n" {
		t.Errorf("the machine has %q, %v", content, err)
	}
}

// An image's own links lead nowhere but into the image.
func TestMountsStayInTheRoot(t *testing.T) {
	w := isolated(t)
	outside := t.TempDir()
	image := w.pull(t, w.push(t, "evil", v1.Config{User: "0"}, program(t), layer(t,
		link("proc", outside), link("sys", outside), link("etc", outside), link("data", outside+"/.."), link("dev", "/../../.."+outside))))
	defer image.Release()
	source := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(source, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := w.Start(t.Context(), w.spec(t, Spec{Image: image, Mounts: []Mount{{Source: source, Target: "/data/new"}}, WorkingDir: "/data/dir"}, io.Discard, "exit", "0"))
	if err == nil {
		await(t, p)
		if err := p.Remove(); err != nil {
			t.Error(err)
		}
	}
	if left := entries(t, outside); len(left) != 0 {
		t.Errorf("the image's links made %v on the machine", left)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	w := isolated(t)
	image := w.payloadImage(t)
	defer image.Release()
	odd := w.pull(t, w.push(t, "odd", v1.Config{}, base(t), layer(t,
		file("bin/script", 0o755, "#!/bin/none\n"), file("bin/garbage", 0o755, "garbage"), file("bin/data", 0o644, "data"))))
	defer odd.Release()
	bare := w.pull(t, w.push(t, "bare", v1.Config{})) // no layer at all
	defer bare.Release()
	for want, s := range map[string]Spec{
		"/bare: no such file in the image":    {Image: bare, Args: []string{"/bare"}},
		"no such program in the image's PATH": {Image: image, Args: []string{"nothing"}},
		"/none: no such file in the image":    {Image: image, Args: []string{"/none"}},
		"no such file or directory":           {Image: image, Mounts: []Mount{{Source: "/no/such/file", Target: "/x"}}},
		"does not have it":                    {Image: image, User: "somebody"},
		"neither entrypoint nor cmd":          {Image: odd, Args: nil},
		"its interpreter or loader":           {Image: odd, Args: []string{"/bin/script"}},
		"made for another machine":            {Image: odd, Args: []string{"garbage"}},
		"permission denied":                   {Image: odd, Args: []string{"/bin/data"}},
		"not a directory":                     {Image: odd, Args: []string{"/bin/data"}, WorkingDir: "/bin/data"},
	} {
		if s.Image == image && s.Args == nil {
			s.Args = []string{"/ko-app/payload", "exit", "0"}
		}
		spec := Spec{Image: s.Image, Name: "wrong", Dir: filepath.Join(w.dir, "wrong"), Args: s.Args, User: s.User, Mounts: s.Mounts, WorkingDir: s.WorkingDir}
		_, err := w.Start(t.Context(), spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := os.Stat(spec.Dir); !os.IsNotExist(err) {
			t.Errorf("%s: its directory stays", want)
		}
	}
	if left := entries(t, filepath.Join(w.dir, "runner/running")); len(left) != 0 {
		t.Errorf("records stay: %v", left)
	}
}

// both runs a test with and without isolation.
func both(t *testing.T, test func(t *testing.T, w *world)) {
	for name, o := range map[string]Options{"isolated": {}, "direct": {Direct: true}} {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, o)) })
	}
}

func TestExitCodes(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		image := w.payloadImage(t)
		defer image.Release()
		for code := range 4 {
			if _, exit := w.output(t, Spec{Image: image}, "exit", fmt.Sprint(code)); exit.Code != code || exit.Signal != 0 || exit.At.IsZero() {
				t.Errorf("%+v, want code %d", exit, code)
			}
		}
	})
}

func TestSignals(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		image := w.payloadImage(t)
		defer image.Release()
		for _, test := range []struct {
			program string
			signals []os.Signal
			want    Exit
		}{
			{"wait", []os.Signal{syscall.SIGTERM}, Exit{Code: 3}},
			{"stubborn", []os.Signal{syscall.SIGTERM, syscall.SIGKILL}, Exit{Code: 137, Signal: 9}},
		} {
			said := newLines()
			p, _ := w.start(t, Spec{Image: image, Name: test.program, Stdout: said}, test.program)
			if line := said.next(t); line != "ready" {
				t.Fatal(line)
			}
			for _, sig := range test.signals {
				select {
				case <-p.Done():
					t.Errorf("%s ended too early: %+v", test.program, p.Exit())
				default:
				}
				if err := p.Signal(sig); err != nil {
					t.Error(err)
				}
			}
			await(t, p)
			if got := p.Exit(); got.Code != test.want.Code || got.Signal != test.want.Signal || got.At.Before(p.Started()) {
				t.Errorf("%s: %+v, want %+v", test.program, got, test.want)
			}
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Errorf("a signal to what has ended: %v", err)
			}
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A process that leaves a child behind, which keeps its output open, ends all
// the same, and the child with it.
func TestGrandchildrenGo(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		image := w.payloadImage(t)
		defer image.Release()
		for _, args := range [][]string{{"fork"}, {"fork", "and stay"}} {
			said := newLines()
			p, _ := w.start(t, Spec{Image: image, Stdout: said, Stderr: io.Discard, Name: fmt.Sprint(len(args))}, args...)
			child := said.next(t)
			if len(args) > 1 {
				if err := p.Signal(syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
			await(t, p)
			if !w.isolation.PID { // else its number is not one of this machine
				var pid int
				if _, err := fmt.Sscanf(child, "child %d", &pid); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the end of the grandchild", func() bool { _, err := startOf(pid); return err != nil })
			}
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestDirect(t *testing.T) {
	w := newWorld(t, Options{Direct: true})
	if got := w.Isolation(); got.Root || got.PID || got.Reason == "" {
		t.Errorf("%+v", got)
	}
	image := w.payloadImage(t)
	defer image.Release()
	s := Spec{Image: image, Name: "p", Dir: filepath.Join(w.dir, "p"), Env: []string{"A=1"}}
	got := w.report(t, s)
	data := strings.TrimPrefix(got.Env[slices.IndexFunc(got.Env, func(kv string) bool { return strings.HasPrefix(kv, "KO_DATA_PATH=") })], "KO_DATA_PATH=")
	if content, err := os.ReadFile(filepath.Join(data, "data")); err != nil || string(content) != "data\n" {
		t.Errorf("the program's data: %q, %v", content, err)
	}
	want := report{
		UID: os.Getuid(), GID: os.Getgid(), Dir: s.Dir, Args: []string{"/ko-app/payload", "report"},
		Env: []string{"A=1", "HOME=" + s.Dir, "KO_DATA_PATH=" + data, "PATH=/bin:/ko-app"},
	}
	got.PID, got.Groups, got.Hostname, got.Effective, got.Bounding, got.NoNewPrivs = 0, nil, "", "", "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, exit := w.output(t, Spec{Image: image, Args: []string{"payload", "exit", "0"}}); exit.Code != 0 {
		t.Errorf("a program from the PATH: %+v", exit)
	}
}

func TestDirectRefusesWhatItCannotDo(t *testing.T) {
	w := newWorld(t, Options{Direct: true})
	image := w.payloadImage(t)
	defer image.Release()
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip("no program that is linked dynamically")
	}
	odd := w.pull(t, w.push(t, "odd", v1.Config{}, layer(t, file("bin/script", 0o755, "#!/bin/sh\n"), file("bin/sh", 0o755, string(shell)))))
	defer odd.Release()
	for want, s := range map[string]Spec{
		"its working directory is /data":    {Image: image, WorkingDir: "/data"},
		"something is mounted at /etc/conf": {Image: image, Mounts: []Mount{{Source: w.dir, Target: "/etc/conf"}}},
		"/bin/script is a script":           {Image: odd, Args: []string{"/bin/script"}},
		"/bin/sh is linked dynamically":     {Image: odd, Args: []string{"/bin/sh"}},
	} {
		s.Name, s.Dir = "refused", filepath.Join(w.dir, "refused")
		_, err := w.Start(t.Context(), s)
		var refused *NeedsRootError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNamesAndDirectories(t *testing.T) {
	w := newWorld(t, Options{})
	image := w.payloadImage(t)
	s := w.spec(t, Spec{Image: image, Name: "ns/pod/container"}, io.Discard, "wait")
	p, err := w.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	image.Release() // the process holds it by itself
	again := s
	again.Dir += "2"
	if _, err := w.Start(t.Context(), again); err == nil {
		t.Error("two processes have one name")
	}
	again.Name += "2"
	again.Dir = s.Dir
	if _, err := w.Start(t.Context(), again); !errors.Is(err, os.ErrExist) {
		t.Errorf("two processes have one directory: %v", err)
	}
	if _, err := os.Stat(s.Dir); err != nil {
		t.Error(err)
	}
	if err := p.Remove(); err != nil { // kills it
		t.Error(err)
	}
	if got := p.Exit(); got.Code != 137 {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory stays: %v", err)
	}
	if err := p.Remove(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	w := newWorld(t, Options{})
	image := w.payloadImage(t)
	defer image.Release()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("not wanted any more"))
	_, err := w.Start(ctx, w.spec(t, Spec{Image: image}, io.Discard, "wait"))
	if err == nil || !strings.Contains(err.Error(), "not wanted any more") {
		t.Errorf("got %v", err)
	}
}

func TestOutputToAFile(t *testing.T) {
	w := newWorld(t, Options{})
	image := w.payloadImage(t)
	defer image.Release()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w.output(t, Spec{Image: image, Stdout: f, Stderr: f}, "write", "/none/x")
	content, err := os.ReadFile(f.Name())
	if err != nil || !bytes.Contains(content, []byte("no such file")) {
		t.Errorf("%q, %v", content, err)
	}
}

func TestClose(t *testing.T) {
	w := newWorld(t, Options{})
	image := w.payloadImage(t)
	p, _ := w.start(t, Spec{Image: image}, "stubborn")
	if _, err := New(filepath.Join(w.dir, "runner"), Options{}); err == nil || !strings.Contains(err.Error(), "another runner") {
		t.Errorf("two runners in one directory: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if p.Exit().Signal != int(syscall.SIGKILL) {
		t.Errorf("%+v", p.Exit())
	}
	if _, err := w.Start(t.Context(), w.spec(t, Spec{Image: image}, io.Discard, "wait")); !errors.Is(err, ErrClosed) {
		t.Errorf("starting: %v", err)
	}
	if _, err := w.Pull(t.Context(), image.Ref(), false, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("pulling: %v", err)
	}
	if err := Remove(filepath.Join(w.dir, "runner")); err != nil {
		t.Error(err)
	}
	if left := entries(t, w.dir); !slices.Equal(left, []string{"processes"}) {
		t.Errorf("what stays: %v", left)
	}
}
