package runner

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace with nothing in it but a loopback device.
func namespace(t *testing.T) *os.File {
	t.Helper()
	var file *os.File
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends in it
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			file, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Skip("no network namespaces here:", err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// TestANetworkOfItsOwn: the process is in it, and the next one is not.
func TestANetworkOfItsOwn(t *testing.T) {
	w := newWorld(t, Options{})
	machine, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	p, out := w.start(t, Spec{Image: w.payloadImage(t), Name: "inside", Network: namespace(t)}, "cat", "/proc/self/net/dev")
	await(t, p)
	devices := func(table string) int { return strings.Count(table, ":") }
	if devices(out.String()) != 1 || !strings.Contains(out.String(), "lo:") {
		t.Errorf("a process in a network of its own has the devices\n%s", out)
	}
	p, out = w.start(t, Spec{Image: w.payloadImage(t), Name: "outside"}, "cat", "/proc/self/net/dev")
	await(t, p)
	if got, want := devices(out.String()), devices(string(machine)); got != want {
		t.Errorf("the next process has %d devices; the machine has %d:\n%s", got, want, out)
	}
}

// TestFiles: those that are handed to a process are open in it, and nothing
// else is.
func TestFiles(t *testing.T) {
	for name, direct := range map[string]bool{"isolated": false, "direct": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{Direct: direct})
			var files []*os.File
			for _, words := range []string{"one ", "two"} {
				r, words2, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if _, err := words2.WriteString(words); err != nil {
					t.Fatal(err)
				}
				_ = words2.Close()
				files = append(files, r)
			}
			p, out := w.start(t, Spec{Image: w.payloadImage(t), Name: "files", User: "0", Files: files}, "cat", "/proc/self/fd/3", "/proc/self/fd/4")
			await(t, p)
			if got := out.String(); got != "one two" {
				t.Errorf("the files say %q", got)
			}
		})
	}
}

// TestNames of the network are those that the caller says.
func TestNames(t *testing.T) {
	w := newWorld(t, Options{})
	if !w.Isolation().Root {
		t.Skip(w.Isolation().Reason)
	}
	p, out := w.start(t, Spec{Image: w.payloadImage(t), Name: "names", Hosts: []byte("hosts\n"), ResolvConf: []byte("resolv\n")}, "cat", "/etc/hosts", "/etc/resolv.conf")
	await(t, p)
	if got := out.String(); got != "hosts\nresolv\n" {
		t.Errorf("the files say %q", got)
	}
}
