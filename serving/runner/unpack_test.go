package runner

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// listing is what is in a directory: one line a file.
func listing(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprint(info.Mode(), " ", strings.TrimPrefix(path, dir+"/"))
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %q", content)
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + to
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func unpackTo(t *testing.T, dir string, entries ...entry) (*layerRecord, error) {
	t.Helper()
	return unpack(dir, bytes.NewReader(archive(t, entries...)), false)
}

func TestUnpack(t *testing.T) {
	shut := "dr-xr-xr-x"
	if os.Geteuid() != 0 {
		shut = "drwxr-xr-x" // who could not write it could not remove it either
	}
	for _, test := range []struct {
		name    string
		entries []entry
		want    []string
		record  layerRecord
	}{
		{
			name: "files, modes and links",
			entries: []entry{
				dir("./", 0o755), dir("a", 0o755), file("a/f", 0o640, "f"), file("a/run", 0o4755, "r"),
				link("a/l", "f"), hardlink("a/h", "a/f"), dir("t", 0o1777),
			},
			want: []string{
				"drwxr-xr-x a", `-rw-r----- a/f "f"`, `-rw-r----- a/h "f"`, "Lrwxrwxrwx a/l -> f", `urwxr-xr-x a/run "r"`,
				"dtrwxrwxrwx t",
			},
			record: layerRecord{Size: 5 * 4096},
		},
		{
			name:    "directories that nobody may write are written first",
			entries: []entry{dir("a", 0o555), dir("a/b", 0o555), file("a/b/f", 0o444, "f")},
			want:    []string{shut + " a", shut + " a/b", `-r--r--r-- a/b/f "f"`},
			record:  layerRecord{Size: 3 * 4096, Implied: []string{"."}},
		},
		{
			name:    "directories without a header are noted",
			entries: []entry{file("var/log/f", 0o644, ""), dir("var/log", 0o700)},
			want:    []string{"drwxr-xr-x var", "drwx------ var/log", `-rw-r--r-- var/log/f ""`},
			record:  layerRecord{Size: 4096, Implied: []string{".", "var"}},
		},
		{
			name:    "the last of a name stays",
			entries: []entry{file("f", 0o644, "old"), file("f", 0o600, "new"), dir("d", 0o755), file("d/x", 0o644, ""), file("d", 0o644, "file")},
			want:    []string{`-rw-r--r-- d "file"`, `-rw------- f "new"`},
			record:  layerRecord{Size: 3 * 4096, Implied: []string{"."}},
		},
		{
			name: "what is removed",
			entries: []entry{
				file("a/.wh.gone", 0, ""), file("b/.wh..wh..opq", 0, ""), file("b/new", 0o644, ""),
				file(".wh.c", 0, ""), file("c/kept", 0o644, ""), file(".wh.d", 0, ""), file("d", 0o644, ""), file(".wh..wh.plnk", 0, ""),
			},
			want:   []string{"drwxr-xr-x a", "drwxr-xr-x b", `-rw-r--r-- b/new ""`, "drwxr-xr-x c", `-rw-r--r-- c/kept ""`, `-rw-r--r-- d ""`},
			record: layerRecord{Whiteouts: []string{"a/gone"}, Opaque: []string{"b", "c"}, Implied: []string{".", "a", "b", "c"}},
		},
		{
			name:    "an absolute link stays in the layer",
			entries: []entry{dir("run", 0o755), link("var/run", "/run"), file("var/run/f", 0o644, "f")},
			want:    []string{"drwxr-xr-x run", `-rw-r--r-- run/f "f"`, "drwxr-xr-x var", "Lrwxrwxrwx var/run -> /run"},
			record:  layerRecord{Size: 2 * 4096, Implied: []string{".", "var"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := t.TempDir()
			for i := range test.entries {
				test.entries[i].Uid, test.entries[i].Gid = os.Geteuid(), os.Getegid()
			}
			record, err := unpackTo(t, to, test.entries...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, listing(t, to)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.record, *record); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever a layer tries, nothing outside of its directory changes.
func TestUnpackStaysInside(t *testing.T) {
	for name, entries := range map[string][]entry{
		"dots":               {file("../../secret", 0o644, "changed")},
		"absolute":           {file("/secret", 0o644, "changed")},
		"link up":            {link("l", "../.."), file("l/secret", 0o644, "changed")},
		"absolute link":      {link("l", "OUTSIDE"), file("l/secret", 0o644, "changed")},
		"links over links":   {link("a", "b/.."), link("b", "../.."), file("a/secret", 0o644, "changed")},
		"hard link":          {hardlink("h", "../../secret"), file("h", 0o644, "changed")},
		"hard link by link":  {link("l", "OUTSIDE"), hardlink("h", "l/secret"), file("h", 0o600, "changed")},
		"directory by link":  {link("l", "OUTSIDE/secret"), dir("l", 0o777)},
		"file by link":       {link("l", "OUTSIDE/secret"), file("l", 0o777, "changed")},
		"mode by link":       {dir("d", 0o755), link("l", "OUTSIDE"), dir("l/dir", 0o777), dir("d/../l/dir", 0o777)},
		"whiteout by link":   {link("l", "OUTSIDE"), file("l/.wh.secret", 0, "")},
		"dots that go round": {dir("a", 0o755), link("a/up", ".."), file("a/up/../../secret", 0o644, "changed")},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(outside, "dir"), 0o700); err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(outside, "layers", "fs")
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range entries {
				entries[i].Linkname = strings.ReplaceAll(entries[i].Linkname, "OUTSIDE", outside)
				entries[i].Uid, entries[i].Gid = os.Geteuid(), os.Getegid()
			}
			_, err := unpackTo(t, to, entries...)
			t.Log(err) // it may be refused, or land inside
			if err := RemoveAll(filepath.Join(outside, "layers")); err != nil {
				t.Fatal(err)
			}
			want := []string{"drwx------ dir", `-rw------- secret "secret"`}
			if diff := cmp.Diff(want, listing(t, outside)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnpackKeepsTimesAndSkipsDevices(t *testing.T) {
	to := t.TempDir()
	at := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	own := func(e entry) entry {
		e.Uid, e.Gid, e.ModTime = os.Geteuid(), os.Getegid(), at
		return e
	}
	device := entry{Header: tar.Header{Typeflag: tar.TypeBlock, Name: "disk", Mode: 0o666, Devmajor: 254}}
	fifo := entry{Header: tar.Header{Typeflag: tar.TypeFifo, Name: "pipe", Mode: 0o622}}
	if _, err := unpackTo(t, to, own(dir("d", 0o755)), own(file("d/f", 0o644, "f")), own(device), own(fifo)); err != nil {
		t.Fatal(err)
	}
	want := []string{"drwxr-xr-x d", `-rw-r--r-- d/f "f"`, "prw--w--w- pipe"}
	if diff := cmp.Diff(want, listing(t, to)); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"d", "d/f"} {
		info, err := os.Stat(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		if !info.ModTime().Equal(at) {
			t.Errorf("%s is of %s, want %s", name, info.ModTime(), at)
		}
	}
}

func TestUnpackRefusesBrokenArchives(t *testing.T) {
	whole := archive(t, file("f", 0o644, strings.Repeat("f", 5000)))
	for name, content := range map[string][]byte{
		"cut in a file":       whole[:3000],
		"cut in a header":     whole[:100],
		"no archive":          []byte(strings.Repeat("x", 600)),
		"link to nothing":     archive(t, hardlink("h", "nothing")),
		"file as a directory": archive(t, file("f", 0o644, ""), file("f/g", 0o644, "")),
		"links in a circle":   archive(t, link("a", "b"), link("b", "a"), file("a/f", 0o644, "")),
	} {
		if _, err := unpack(t.TempDir(), bytes.NewReader(content), false); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
