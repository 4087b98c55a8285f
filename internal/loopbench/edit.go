package loopbench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	gobuild "go/build"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// fileName is that of the file that is edited.
const fileName = "devbox_bench.go"

// mark begins the file, so that it is known again.
const mark = "// Made by `devbox bench loop`, which removes it at its end."

// edited is a file that changes what a program does from edit to edit, whatever
// the program is: the compiler has to keep what is asked at its start. No two
// measurings make the same edit, which the go command's cache or the box's
// registry would have from the one before.
type edited struct {
	path, pkg string
	measuring string
}

// newEdited is the file for a package, which is not written yet. It refuses one
// that is there and is not of an earlier measuring.
func newEdited(dir string) (*edited, error) {
	e := &edited{path: filepath.Join(dir, fileName), measuring: rand.Text()}
	switch content, err := os.ReadFile(e.path); {
	case err == nil && !strings.HasPrefix(string(content), mark):
		return nil, fmt.Errorf("%s is there already, and it is the file that would be edited: give it another name", e.path)
	case err == nil:
		if err := os.Remove(e.path); err != nil {
			return nil, fmt.Errorf("removing what an earlier measuring has left: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("looking for %s: %w", e.path, err)
	}
	there, err := gobuild.ImportDir(dir, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the package to be edited: %w", err)
	}
	e.pkg = there.Name
	return e, nil
}

func (e *edited) content(word string) []byte {
	return fmt.Appendf(nil, `%s

package %s

var devboxBench = %q

func init() {
	if devboxBench == "" {
		println(devboxBench)
	}
}
`, mark, e.pkg, e.measuring+", "+word)
}

func (e *edited) save(word string) error {
	if err := os.WriteFile(e.path, e.content(word), 0o600); err != nil {
		return fmt.Errorf("saving an edit: %w", err)
	}
	return nil
}

func (e *edited) remove() error {
	if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the file that was edited: %w", err)
	}
	return nil
}

// compiler builds the same program by the go command, with other edits.
type compiler struct {
	*edited
	dir string // of the main package
	tmp string
}

// build is how long `go build` takes for an edit.
func (c compiler) build(ctx context.Context, word string, flags ...string) (time.Duration, error) {
	content, overlay := filepath.Join(c.tmp, fileName), filepath.Join(c.tmp, "overlay.json")
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {c.path: content}})
	if err != nil {
		return 0, err
	}
	if err := errors.Join(os.WriteFile(content, c.content(word), 0o600), os.WriteFile(overlay, replaced, 0o600)); err != nil {
		return 0, fmt.Errorf("laying out an edit for the go command: %w", err)
	}
	args := append([]string{"build", "-overlay", overlay, "-o", filepath.Join(c.tmp, "program")}, flags...)
	cmd := goenv.Command(ctx, append(args, ".")...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), "CGO_ENABLED=0")
	start := time.Now()
	if _, err := goenv.Output(cmd); err != nil {
		return 0, fmt.Errorf("go build: %w", err)
	}
	return time.Since(start), nil
}
