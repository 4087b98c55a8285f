package compile

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// TestFolders: a change of any source that a program of ours is made of makes
// another program.
func TestFolders(t *testing.T) {
	for name, folders := range map[string][]string{Module: commandFolders, Module + "/cmd/box": boxFolders} {
		out, err := exec.Command("go", "list", "-deps", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			ours, ok := strings.CutPrefix(path+"/", Module+"/")
			if ok && ours != "" && !slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(ours, folder+"/") }) {
				t.Errorf("%s is in none of %v", ours, folders)
			}
		}
	}
}

// TestSharedWithMake: what `go run` has had compiled, `make` does not compile
// again. Only main itself differs, in the settings written into it.
func TestSharedWithMake(t *testing.T) {
	root, err := Source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	actions := func(environment []string) map[string]string {
		cmd := exec.Command("go", "list", "-deps", "-export", "-f", "{{.ImportPath}} {{.BuildID}}", Module)
		cmd.Dir, cmd.Env = root, environment
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]string{}
		for line := range strings.Lines(string(out)) {
			path, id, _ := strings.Cut(strings.TrimSpace(line), " ")
			ids[path] = id
		}
		return ids
	}
	own, err := goenv.Own(t.Context(), runtime.GOOS, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	ours := actions(append(os.Environ(), own...))
	for path, id := range actions(append(os.Environ(), "CGO_ENABLED=0")) { // as in the Makefile
		if path != Module && ours[path] != id {
			t.Errorf("%s is compiled again", path)
		}
	}
}
