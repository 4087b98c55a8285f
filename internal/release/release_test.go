package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpacked is a release of a few files.
func unpacked(t *testing.T) Dir {
	t.Helper()
	d := Dir(t.TempDir())
	if err := os.Mkdir(d.Path(Images), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{Command, Box, "images/index.json"} {
		if err := os.WriteFile(d.Path(name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.WriteSums(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhole(t *testing.T) {
	d := unpacked(t)
	if files, err := d.Check(); files != 3 || err != nil {
		t.Errorf("%d files, %v", files, err)
	}
	if files, err := d.Check(Box, Images); files != 2 || err != nil {
		t.Errorf("the box's: %d files, %v", files, err)
	}
	if err := os.WriteFile(d.Path("notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Check(); err != nil {
		t.Errorf("a file that somebody put beside it: %v", err)
	}
}

// TestNotWhole names each file, and what is wrong with it.
func TestNotWhole(t *testing.T) {
	for _, test := range []struct {
		name string
		harm func(Dir) error
		want string
	}{
		{"damaged", func(d Dir) error { return os.WriteFile(d.Path(Box), []byte("bo"), 0o644) }, "box is not the file that was released"},
		{"missing", func(d Dir) error { return os.Remove(d.Path("images/index.json")) }, "images/index.json is missing"},
		{"another devbox", func(d Dir) error { return os.WriteFile(d.Path(Command), []byte("v2"), 0o644) }, "devbox is not the file that was released"},
		{"no list", func(d Dir) error { return os.Remove(d.Path(Sums)) }, "no such file"},
		{"half a list", func(d Dir) error { return os.Truncate(d.Path(Sums), 30) }, "SHA256SUMS:1 is no checksum"},
		{"an end of a list is gone", func(d Dir) error {
			return os.Truncate(d.Path(Sums), int64(64+2+len("box\n")+64+2+len("images/index.json\n")))
		}, "half a file"},
		{"a list of other files", func(d Dir) error {
			return os.WriteFile(d.Path(Sums), []byte(strings.Repeat("0", 64)+"  ../../etc/passwd\n"), 0o644)
		}, "is no checksum of a file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := unpacked(t)
			if err := test.harm(d); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Check(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := unpacked(t).Check("man"); err == nil || !strings.Contains(err.Error(), "lists no man") {
		t.Errorf("what is in no list: %v", err)
	}
}

// TestBeside: a test's program was not unpacked from a release.
func TestBeside(t *testing.T) {
	if dir, ok := Beside(); ok {
		t.Errorf("found one in %s", dir)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sums := filepath.Join(filepath.Dir(program), Sums)
	if err := os.WriteFile(sums, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(sums)
	if dir, ok := Beside(); !ok || dir.Path(Sums) != sums {
		t.Errorf("found %s, %v", dir, ok)
	}
}
