package app

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/watcher"
)

// TestWaitAsksTheSession plays a session that says how it is with a service, and
// compares what `devbox wait` makes of it.
func TestWaitAsksTheSession(t *testing.T) {
	hello := func(state watcher.State, reason string) watcher.Standing {
		return watcher.Standing{Namespace: "default", Service: "hello", Revision: "hello-00002", State: state, Reason: reason}
	}
	crash := hello(watcher.Crashing, "container user-container exited with code 2")
	crash.Log = []string{"panic: no database"}
	const crashed = "   hello-00002 has failed, and is tried again: container user-container exited with code 2\n   | panic: no database\n"
	broken := watcher.Standing{Service: "hello", State: watcher.NotLive, Part: watcher.OfBuild, Reason: "main.go:3:1: undefined: nobody"}
	wrong := watcher.Standing{Service: "hello", State: watcher.NotLive, Part: watcher.OfInput, Reason: "service.yaml:3: no"}
	held := hello(watcher.NotLive, "it is ready, and gets 0% of the traffic, which is held")
	held.Part, held.Hint = watcher.OfRevision, "`devbox hold --release hello`"
	gone := crash
	gone.State, gone.Part, gone.Reason = watcher.NotLive, watcher.OfRevision, crash.Reason+"; its progress deadline has passed"

	for name, c := range map[string]struct {
		says           []watcher.Standing
		ends           bool // the session, before it knows
		timeout        time.Duration
		code           int
		stdout, stderr string
	}{
		"live":                   {says: []watcher.Standing{hello(watcher.Live, "")}, stdout: "hello-00002\n"},
		"on its way":             {says: []watcher.Standing{hello(watcher.Underway, "it is being started"), hello(watcher.Live, "")}, stdout: "hello-00002\n", stderr: ""},
		"it crashes, and runs":   {says: []watcher.Standing{crash, hello(watcher.Live, "")}, stdout: "hello-00002\n", stderr: crashed},
		"it does not compile":    {says: []watcher.Standing{broken}, code: codeBuild, stderr: "devbox: hello does not compile:\n   main.go:3:1: undefined: nobody\n"},
		"its manifest is wrong":  {says: []watcher.Standing{wrong}, code: codeUsage, stderr: "devbox: hello is not live: service.yaml:3: no\n"},
		"it is held":             {says: []watcher.Standing{held}, code: codeRollout, stderr: "devbox: hello is not live: hello-00002: it is ready, and gets 0% of the traffic, which is held\n   next: `devbox hold --release hello`\n"},
		"it crashes for good":    {says: []watcher.Standing{crash, gone}, code: codeRollout, stderr: crashed + "devbox: hello is not live: hello-00002: " + gone.Reason + "\n   | panic: no database\n   next: devbox logs hello --name wait\n"},
		"it takes longer":        {says: []watcher.Standing{crash}, timeout: 100 * time.Millisecond, code: codeRollout, stderr: crashed + "devbox: hello is not live after 100ms: hello-00002 has failed, and is tried again: " + crash.Reason + "\n   next: devbox logs hello --name wait\n"},
		"nothing is said":        {timeout: time.Millisecond, code: codeRollout, stderr: "devbox: hello is not live after 1ms: nothing was heard of it\n   next: devbox logs hello --name wait\n"},
		"the session ends":       {says: []watcher.Standing{hello(watcher.Underway, "")}, ends: true, code: codeFailure, stderr: "devbox: `devbox up` has ended before what was saved was live\n   next: devbox up --name wait\n"},
		"the session has it not": {says: []watcher.Standing{{Service: "hello", State: watcher.NotMine}}, code: codeCluster, stderr: "devbox: box \"wait\": there is no such box\n   next: devbox up --name wait\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CONFIG_HOME", t.TempDir())
			var stdout, stderr bytes.Buffer
			d := &devbox{name: "wait", output: textFormat, stdout: &stdout, stderr: &stderr}
			end, err := bootstrap.Session(d.name)
			if err != nil {
				t.Fatal(err)
			}
			defer end()
			questions, deaf := d.takeQuestions(t.Context(), nil)
			defer deaf()
			played, over := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(played)
				select {
				case q := <-questions:
					if q.Name != "hello" || q.Namespace != "" {
						t.Errorf("asked for %s/%s", q.Namespace, q.Name)
					}
					for _, s := range c.says {
						q.Tell(s)
					}
				case <-over:
				}
				if c.ends {
					deaf()
				}
			}()
			code := exit(t.Context(), d.wait(t.Context(), "hello", c.timeout), &stderr)
			close(over)
			<-played
			if code != c.code || stdout.String() != c.stdout || stderr.String() != c.stderr {
				t.Errorf("exit %d, want %d\nstdout %q\nwant   %q\nstderr %q\nwant   %q", code, c.code, stdout.String(), c.stdout, stderr.String(), c.stderr)
			}
		})
	}
}

// TestSessionsSocket: it goes with the session, also what one that was killed has
// left, and what is asked without one is told so.
func TestSessionsSocket(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	asks := func() error {
		conn, err := bootstrap.DialSession(t.Context(), "a")
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := asks(); !errors.Is(err, bootstrap.ErrNoSession) {
		t.Errorf("before any session: %v", err)
	}
	for _, killed := range []bool{true, false} {
		end, err := bootstrap.Session("a")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := bootstrap.ListenAsSession(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := asks(); err != nil {
			t.Errorf("a session: %v", err)
		}
		if unix, ok := listener.(interface{ SetUnlinkOnClose(bool) }); ok && killed {
			unix.SetUnlinkOnClose(false)
		}
		listener.Close()
		if err := asks(); !errors.Is(err, bootstrap.ErrNoSession) {
			t.Errorf("after the session, killed %v: %v", killed, err)
		}
		end()
	}
	left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "devbox", "*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
