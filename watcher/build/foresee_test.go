package build_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/kind-in-a-box/devbox/watcher/build"
)

// TestForesee: a Build after it is one of what the files hold then, and says
// what was compiled for that whoever began with it.
func TestForesee(t *testing.T) {
	dir, b := shelf(t), remembers(t)
	const program = "example.com/tiny"
	b.Foresee(t.Context(), dir, program) // nothing is known yet
	if _, err := b.Build(t.Context(), dir, program); err != nil {
		t.Fatal(err)
	}
	b.Learned()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var beside sync.WaitGroup
	for _, step := range []struct {
		name string
		edit func()
		want string // how it is made
		says string // what the program says; empty where it does not compile
	}{
		{"what was foreseen", func() {
			replace(t, dir, "main.go", "println(", "println(\"one\", ")
			b.Foresee(t.Context(), dir, program)
		}, "compiled example.com/tiny and linked", "one hello page"},
		{"an edit after it", func() {
			replace(t, dir, "main.go", "one", "two")
			b.Foresee(t.Context(), dir, program)
			replace(t, dir, "lib/lib.go", "hello", "howdy")
		}, "compiled example.com/tiny/lib and linked", "two howdy page"},
		{"one that was ended", func() {
			replace(t, dir, "main.go", "two", "three")
			b.Foresee(over, dir, program)
		}, "compiled example.com/tiny and linked", "three howdy page"},
		{"one that goes on", func() {
			replace(t, dir, "main.go", "three", "four")
			for range 2 {
				beside.Go(func() { b.Foresee(t.Context(), dir, program) })
			}
		}, "", "four howdy page"},
		{"what does not compile", func() {
			beside.Wait()
			replace(t, dir, "main.go", "four\"", "four\" +")
			b.Foresee(t.Context(), dir, program)
		}, "", ""},
	} {
		step.edit()
		img, err := b.Build(t.Context(), dir, program)
		if step.says == "" {
			if _, ok := errors.AsType[*build.CompileError](err); !ok {
				t.Errorf("%s: %v", step.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := build.Way(img); step.want != "" && got != step.want {
			t.Errorf("%s: %s\nwant %s", step.name, got, step.want)
		}
		if got := said(t, contents(t, img)["/ko-app/tiny"]); got != step.says {
			t.Errorf("%s: the program says %q, want %q", step.name, got, step.says)
		}
	}
}
