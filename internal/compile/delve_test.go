package compile

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestDelve: its module is what pins it, also where somebody has changed what
// was written before.
func TestDelve(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for range 2 {
		p, err := Delve()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(p.Source, "go.mod")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		module, err := modfile.Parse(path, content, nil)
		if err != nil {
			t.Fatal(err)
		}
		version := ""
		for _, r := range module.Require {
			if r.Mod.Path == "github.com/go-delve/delve" {
				version = r.Mod.Version
			}
		}
		if version != "v1.27.2" {
			t.Errorf("Delve's version is %q", version)
		}
		if err := os.WriteFile(path, []byte("module other\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
