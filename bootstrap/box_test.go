package bootstrap

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

// home gives the test a configuration directory of its own.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	config, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(config, "devbox")
}

// saved makes the record of a box in the test's home.
func saved(t *testing.T, name string, complete bool) *Box {
	t.Helper()
	dir, err := dirOf(name)
	if err != nil {
		t.Fatal(err)
	}
	box := NewBox(name, "one", dir)
	box.HTTPPort, box.RegistryPort, box.APIPort, box.Complete = 8080, 5001, 40000, complete
	box.Images = images.Released("node@sha256:" + strings.Repeat("b", 64))
	box.Images.Images[images.Pilot] = images.Image{Ref: "devbox.local/istio/pilot:1-abc", Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}
	if err := box.Save(); err != nil {
		t.Fatal(err)
	}
	return box
}

func TestBoxIsSavedPrivately(t *testing.T) {
	dir := home(t)
	want := saved(t, "one", true)
	want.Entrance = pretended{name: "one"}
	got, err := Engines{pretended{name: "one"}}.Load("one")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	files, err := os.ReadDir(filepath.Join(dir, "one"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() != "box.json" || info.Mode().Perm() != 0o600 {
			t.Errorf("found %s with mode %v; want box.json, 0600, alone", f.Name(), info.Mode())
		}
	}
}

func TestLoadOfNoBox(t *testing.T) {
	home(t)
	if _, err := (Engines{}).Load("none"); !errors.Is(err, ErrNoBox) {
		t.Errorf("got %v, want %v", err, ErrNoBox)
	}
	saved(t, "half", false)
	if _, err := (Engines{}).Load("half"); !errors.Is(err, ErrNoBox) {
		t.Errorf("created half-way: got %v, want %v", err, ErrNoBox)
	}
}

func TestNamesOfBoxes(t *testing.T) {
	for name, fits := range map[string]bool{
		"devbox": true, "a-1": true, "": false, "Box": false, "a/b": false, "../x": false, "a_b": false, strings.Repeat("a", 51): false,
	} {
		if _, err := dirOf(name); (err == nil) != fits {
			t.Errorf("%q: got %v, want it to fit: %v", name, err, fits)
		}
	}
}

func TestOneAtATime(t *testing.T) {
	dir := home(t)
	unlock, err := lock("one")
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock("one")
	busy, ok := errors.AsType[*BusyError](err)
	if !ok || busy.Name != "one" || busy.PID == "" {
		t.Errorf("got %v, want a BusyError with this process", err)
	}
	other, err := lock("two")
	if err != nil {
		t.Fatalf("another box: %v", err)
	}
	other()
	unlock()
	again, err := lock("one")
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNoPlaceForARecord(t *testing.T) {
	dir := home(t)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o644); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	_, err := Engines{}.Up(t.Context(), Config{})
	if _, ok := errors.AsType[*PrerequisiteError](err); !ok {
		t.Errorf("got %v, want a PrerequisiteError", err)
	}
}
