package build_test

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kind-in-a-box/devbox/watcher/build"
)

// TestForDelve: whatever .ko.yaml strips, a program that is to be debugged has
// its lines by the paths that they have here, all its variables, and Delve
// beside it; an edit goes the short way and gives the same.
func TestForDelve(t *testing.T) {
	for name, koYAML := range map[string]string{
		"defaults": "",
		"stripped": "defaultFlags: [-trimpath]\ndefaultLdflags: [-s, -w]\n",
		"an entry": "builds:\n  - dir: .\n    main: .\n    flags: [-trimpath]\n    ldflags: [-s -w]\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := shelf(t)
			if koYAML != "" {
				write(t, dir, ".ko.yaml", koYAML)
			}
			delve := t.TempDir()
			write(t, delve, "dlv", "the debugger")
			options := build.Options{Again: true, Delve: filepath.Join(delve, "dlv")}
			b := build.New(options)
			t.Cleanup(b.Close)
			img, err := b.Build(t.Context(), dir, "example.com/tiny")
			if err != nil {
				t.Fatal(err)
			}
			files := contents(t, img)
			if string(files[build.DelvePath]) != "the debugger" {
				t.Errorf("%s has %q", build.DelvePath, files[build.DelvePath])
			}
			if got := config(t, img).Config.Entrypoint; !slices.Equal(got, []string{"/ko-app/tiny"}) {
				t.Errorf("entrypoint %q", got)
			}
			inlined, at := debugInfo(t, files["/ko-app/tiny"])
			if want := filepath.Join(dir, "mid/mid.go"); at["mid.go"] != want || inlined {
				t.Errorf("mid.go is at %q, inlined: %t; want %s", at["mid.go"], inlined, want)
			}
			b.Learned()
			replace(t, dir, "lib/lib.go", "hello", "howdy")
			if img, err = b.Build(t.Context(), dir, "example.com/tiny"); err != nil {
				t.Fatal(err)
			}
			if got, want := build.Way(img), "compiled example.com/tiny/lib and linked"; got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
			anew, err := build.New(build.Options{Delve: options.Delve}).Build(t.Context(), dir, "example.com/tiny")
			if err != nil {
				t.Fatal(err)
			}
			sameImage(t, name, img, anew)
		})
	}
}

// debugInfo says where the module's source is, and whether a function of it was
// inlined.
func debugInfo(t *testing.T, program []byte) (inlined bool, files map[string]string) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for r := data.Reader(); ; {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return inlined, files
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		switch {
		case e.Tag == dwarf.TagSubprogram && name == "example.com/tiny/mid.Word":
			inlined = e.Val(dwarf.AttrInline) != nil
		case e.Tag == dwarf.TagCompileUnit:
			if lines, err := data.LineReader(e); err == nil && lines != nil {
				for _, file := range lines.Files() {
					if file != nil {
						files[filepath.Base(file.Name)] = file.Name
					}
				}
			}
		}
	}
}
