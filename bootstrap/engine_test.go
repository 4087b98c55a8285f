package bootstrap

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pretended is an engine whose boxes are folders.
type pretended struct {
	name  string
	ready error  // why it is not
	lacks string // what the machine lacks for it
	steps []Step
}

func (e pretended) Name() string                { return e.name }
func (e pretended) Ready(context.Context) error { return e.ready }
func (e pretended) Enter(*Box) Entrance         { return e }

func (e pretended) Survey(_ context.Context, s *Survey) []Step {
	s.Add("engine", OK, strings.TrimSuffix(e.name+", since "+s.Since, ", since "), "")
	if e.lacks != "" {
		s.Add("images", Fail, e.lacks, "")
	}
	s.Box = s.Record
	if s.Box == nil {
		s.Box = NewBox(s.Name, e.name, s.Dir)
	}
	return e.steps
}

func (e pretended) Down(_ context.Context, _ *Box, say func(string)) error {
	say("removing what " + e.name + " made")
	return nil
}

func (pretended) Parts() []string { return nil }
func (pretended) Log() string     { return "" }
func (pretended) Lacks() []string { return nil }

func (pretended) Ask(context.Context, string, string, string, []byte) ([]byte, error) {
	return nil, ErrOlder
}

func (e pretended) Ended(context.Context) error { return e.ready }

func TestEngineIsChosen(t *testing.T) {
	stopped := errors.New("it is stopped")
	for name, c := range map[string]struct {
		first  error  // why the first engine is not ready
		lacks  string // what the machine lacks for it
		second string // and for the second
		images string // a directory of images that is given
		asked  string
		box    string // the engine of the box that is there
		want   string // what the finding says
		fails  bool
	}{
		"the first is ready":      {want: "first"},
		"the first is not ready":  {first: stopped, want: "second, since it is stopped"},
		"the first lacks images":  {lacks: "no registry: no such host", want: "second, since no registry"},
		"its images are given":    {lacks: "no registry: no such host", images: "there", want: "first"},
		"neither can":             {first: stopped, second: "no disk", want: "second, since it is stopped"},
		"asked for, lacks images": {asked: "first", lacks: "no registry: no such host", want: "first"},
		"as asked for":            {asked: "second", want: "second"},
		"asked for, not ready":    {first: stopped, asked: "first", want: "first"},
		"the box has one":         {box: "second", want: "second"},
		"the box has another":     {asked: "first", box: "second", want: "box devbox is of engine second, not first", fails: true},
		"an engine there is not":  {asked: "steam", want: `there is no engine "steam"`, fails: true},
		"a box of a later time":   {box: "steam", want: "box devbox is of engine steam, which this devbox does not have", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			home(t)
			if c.box != "" {
				dir, err := dirOf(DefaultName)
				if err != nil {
					t.Fatal(err)
				}
				if err := NewBox(DefaultName, c.box, dir).Save(); err != nil {
					t.Fatal(err)
				}
			}
			said := ""
			for _, f := range (Engines{pretended{name: "first", ready: c.first, lacks: c.lacks}, pretended{name: "second", lacks: c.second}}).Check(t.Context(), Config{Engine: c.asked, ImagesDir: c.images}) {
				if f.Name == "engine" {
					said = f.Message
					if (f.Level == Fail) != c.fails {
						t.Errorf("level %s", f.Level)
					}
				}
			}
			if said != c.want {
				t.Errorf("got %q, want %q", said, c.want)
			}
		})
	}
}

// TestUpDown brings a box up, loads it and takes it down, and a folder whose
// record is gone as well.
func TestUpDown(t *testing.T) {
	dir := home(t)
	made := false
	engines := Engines{pretended{name: "only", steps: []Step{{Name: "work", Do: func(context.Context, func(string)) (string, error) {
		made = true
		return "", nil
	}}}}}
	box, err := engines.Up(t.Context(), Config{Name: "one"})
	if err != nil || !made || box.Entrance == nil {
		t.Fatalf("made: %v, %+v, %v", made, box, err)
	}
	box.Complete = true
	if err := box.Save(); err != nil {
		t.Fatal(err)
	}
	if loaded, err := engines.Load("one"); err != nil || loaded.Engine != "only" || loaded.Entrance == nil {
		t.Errorf("got %+v, %v", loaded, err)
	}
	if err := engines.Down(t.Context(), "one", nil); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "two"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := engines.Down(t.Context(), "two", nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// TestDownOfALaterBox leaves a box alone whose engine is not known.
func TestDownOfALaterBox(t *testing.T) {
	dir := home(t)
	if err := NewBox("one", "steam", filepath.Join(dir, "one")).Save(); err != nil {
		t.Fatal(err)
	}
	if err := (Engines{pretended{name: "only"}}).Down(t.Context(), "one", nil); err == nil || !strings.Contains(err.Error(), "engine steam") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "one", "box.json")); err != nil {
		t.Error(err)
	}
}

// TestWatch ends with the box, and says why.
func TestWatch(t *testing.T) {
	gone := errors.New("it has ended")
	dir := filepath.Join(home(t), "one")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	box := NewBox("one", "only", dir)
	box.Entrance = pretended{ready: gone}
	watched, stop := box.Watch(t.Context())
	defer stop()
	<-watched.Done()
	if failed, ok := errors.AsType[*ClusterError](context.Cause(watched)); !ok || !errors.Is(failed, gone) {
		t.Errorf("got %v", context.Cause(watched))
	}
}

// TestWatchWhileItIsRemoved: a box ends before Down is done with it, and what
// is said waits for that.
func TestWatchWhileItIsRemoved(t *testing.T) {
	dir := filepath.Join(home(t), "one")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock("one")
	if err != nil {
		t.Fatal(err)
	}
	box := NewBox("one", "only", dir)
	box.Entrance = pretended{ready: errors.New("it has ended")}
	watched, stop := box.Watch(t.Context())
	defer stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	unlock()
	<-watched.Done()
	failed, ok := errors.AsType[*ClusterError](context.Cause(watched))
	if !ok || !strings.Contains(failed.Error(), "removed by `devbox down`") || failed.Hint != "" {
		t.Errorf("got %v, want a removal, and nothing to read", context.Cause(watched))
	}
}
