//go:build e2e

package story

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	root     = "../.."
	document = root + "/docs/story.md"

	patience = 10 * time.Minute // of one command

	// load is how long the page's load lasts.
	load = "--duration 300s"
)

// TestStory plays the page, on a machine that has no box yet: the page's name
// is that of everybody's first one.
func TestStory(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(root+"/bin/devbox", "status").Run(); err == nil {
		t.Fatal("there is a box called devbox; `devbox down` removes it, then play the story again")
	}
	t.Cleanup(func() { run(t, "devbox down") })
	for i := range p {
		printed := ""
		for j := range p[i].commands {
			c := &p[i].commands[j]
			c.output = run(t, c.line)
			printed += c.output
		}
		for _, pattern := range p[i].expects {
			if !pattern.MatchString(printed) {
				t.Errorf("%q is not in what was printed:\n%s", pattern, printed)
			}
		}
	}
	if os.Getenv("DEVBOX_STORY") == "write" && !t.Failed() {
		if err := os.WriteFile(document, []byte(p.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a command line as the page's reader would.
func run(t *testing.T, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	bin, err := filepath.Abs(root + "/bin")
	if err != nil {
		t.Fatal(err)
	}
	short := strings.ReplaceAll(line, load, cmp.Or(os.Getenv("DEVBOX_STORY_LOAD"), load))
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", short)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	t.Logf("$ %s\n%s", short, out)
	if err != nil {
		t.Fatalf("%s: %v", short, err)
	}
	return anywhere(t, string(out))
}

// anywhere is what was printed without the names of this machine's folders, and
// with an end.
func anywhere(t *testing.T, printed string) string {
	t.Helper()
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	printed = strings.NewReplacer(checkout, ".", home, "~").Replace(printed)
	if printed != "" && !strings.HasSuffix(printed, "\n") {
		printed += "\n"
	}
	return printed
}
