package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// launcher is what `go run` runs.
func launcher(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "devbox")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestBecomesTheProgram: arguments, streams and exit codes are the program's,
// and what is kept starts without a word.
func TestBecomesTheProgram(t *testing.T) {
	program := launcher(t)
	if out, err := exec.Command(program, "version").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out, words bytes.Buffer
	cmd := exec.Command(program, "version", "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil || words.Len() > 0 {
		t.Errorf("%v, stderr %q", err, words.String())
	}
	var version struct{ Platform string }
	if err := json.Unmarshal(out.Bytes(), &version); err != nil || version.Platform == "" {
		t.Errorf("%v: stdout %q", err, out.String())
	}

	words.Reset()
	cmd = exec.Command(program, "nonsense")
	cmd.Stderr = &words
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(words.String(), `unknown command "nonsense"`) {
		t.Errorf("exit code %d, %v, stderr %q", code, err, words.String())
	}
}

// TestCtrlCWhileItCompiles says how to go on, and leaves nothing half done.
func TestCtrlCWhileItCompiles(t *testing.T) {
	cache := t.TempDir()
	cmd := exec.Command(launcher(t), "version")
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache, "GOCACHE="+goCache(t))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if said = append(said, lines.Text()); len(said) == 1 {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}
	}
	err = cmd.Wait()
	end := strings.Join(said[max(0, len(said)-2):], "\n")
	if want := "devbox: interrupted\n   next: the same command goes on compiling from here"; cmd.ProcessState.ExitCode() != codeInterrupted || end != want {
		t.Errorf("%v; it ended with %q, want %q", err, end, want)
	}
	left, err := filepath.Glob(filepath.Join(cache, "devbox", "programs", "*"))
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], ".lock") {
		t.Errorf("left: %v, %v", left, err)
	}
}

// goCache is the go command's, which moves with XDG_CACHE_HOME.
func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestWithoutGo(t *testing.T) {
	cmd := exec.Command(launcher(t), "version")
	cmd.Env = append(os.Environ(), "PATH="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != codePrerequisite || !strings.HasSuffix(string(out), "next: install Go, or put the go command on the PATH\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
