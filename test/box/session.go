package box

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Session is a running `devbox up -o json`.
type Session struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended

	mu     sync.Mutex
	events []event.Event
	news   chan struct{} // closed and made anew at every event
}

// Up starts `devbox up` on the given directories and options and returns when
// the box is up. The test's end ends it.
func (b *Box) Up(args ...string) *Session {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{t: b.t, cmd: b.Command(ctx, append([]string{"up", "-o", "json"}, args...)...), done: make(chan struct{}), news: make(chan struct{})}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.add(lines.Bytes())
		}
		_ = s.cmd.Wait() // the exit code is asked for by Interrupt and Exit
	}()
	b.t.Cleanup(func() { cancel(); <-s.done })
	s.follow(b)
	return s
}

// follow notes the gateway's address when the box says it.
func (s *Session) follow(b *Box) {
	ready := s.Wait("the box", 10*time.Minute, func(e event.Event) bool { return e.Kind == event.BoxReady })
	b.Gateway = strings.TrimSuffix(ready.URL, "/")
}

func (s *Session) add(line []byte) {
	var e event.Event
	if err := json.Unmarshal(line, &e); err != nil {
		s.t.Errorf("devbox up -o json printed %q, which is no event: %v", line, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	close(s.news)
	s.news = make(chan struct{})
}

// Mark returns the number of events so far, for WaitAfter.
func (s *Session) Mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// Wait returns the first event of the session that satisfies is.
func (s *Session) Wait(what string, timeout time.Duration, is func(event.Event) bool) event.Event {
	s.t.Helper()
	return s.WaitAfter(0, what, timeout, is)
}

// WaitAfter returns the first event after the given mark that satisfies is,
// and fails the test with all that was said when there is none in time.
func (s *Session) WaitAfter(mark int, what string, timeout time.Duration, is func(event.Event) bool) event.Event {
	s.t.Helper()
	deadline := time.After(timeout)
	for {
		s.mu.Lock()
		events, news := s.events, s.news
		s.mu.Unlock()
		for ; mark < len(events); mark++ {
			if is(events[mark]) {
				return events[mark]
			}
		}
		select {
		case <-news:
		case <-s.done:
			if s.Mark() > mark {
				continue // its last words
			}
			s.t.Fatalf("devbox up ended before %s\n%s", what, s.transcript())
		case <-deadline:
			s.t.Fatalf("no sign of %s in %s\n%s", what, timeout, s.transcript())
		}
	}
}

// Exit waits for the session's own end and returns its exit code.
func (s *Session) Exit(timeout time.Duration) int {
	s.t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(timeout):
		s.t.Fatalf("devbox up has not ended in %s\n%s", timeout, s.transcript())
		return -1
	}
}

// Interrupt does what Ctrl-C does and returns the exit code.
func (s *Session) Interrupt() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatalf("interrupting devbox up: %v", err)
	}
	return s.Exit(30 * time.Second)
}

// PID is the number of the session's process.
func (s *Session) PID() int { return s.cmd.Process.Pid }

// Kill ends the session with no time for a word.
func (s *Session) Kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatalf("killing devbox up: %v", err)
	}
	<-s.done
}

func (s *Session) transcript() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		fmt.Fprintf(&b, "  %s %s %s%s %s %s\n", e.Time.Format("05.000"), e.Kind, e.Step, e.Revision, e.Message, e.Error)
		for _, l := range e.Log {
			fmt.Fprintf(&b, "      | %s\n", l)
		}
	}
	return b.String()
}
