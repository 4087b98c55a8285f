package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// stopped is an engine that is not ready.
type stopped struct{ Engine }

func (stopped) Name() string                { return "stopped" }
func (stopped) Ready(context.Context) error { return errors.New("it is stopped") }

// TestSurvey says why it is this engine, and gives the box all its ports.
func TestSurvey(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	engines := bootstrap.Engines{stopped{}, Engine{}}
	said := map[string]bootstrap.Finding{}
	for _, f := range engines.Check(t.Context(), bootstrap.Config{ImagesDir: "/images"}) {
		said[f.Name] = f
	}
	if got := said["engine"].Message; got != "embedded engine, since it is stopped" {
		t.Errorf("got %q", got)
	}
	if said["images"].Level != bootstrap.Warn || said[bootstrap.Observability].Name != "" {
		t.Errorf("images that nobody takes: %+v", said)
	}
	watched := bootstrap.Config{ImagesDir: "/images", With: []string{bootstrap.Observability}}
	for _, f := range engines.Check(t.Context(), watched) {
		said[f.Name] = f
	}
	if said["images"].Level != bootstrap.Fail {
		t.Errorf("images that are to be taken from a directory that is not there: %+v", said["images"])
	}
	for _, f := range engines.Check(t.Context(), bootstrap.Config{Mesh: new(true)}) {
		said[f.Name] = f
	}
	if said[bootstrap.Mesh].Level != bootstrap.Fail {
		t.Errorf("the mesh, which it has not: %+v", said[bootstrap.Mesh])
	}
	s := &bootstrap.Survey{Config: bootstrap.Config{Name: "one", Port: bootstrap.DefaultPort}, Dir: filepath.Join(dir, "one")}
	if steps := (Engine{}).Survey(t.Context(), s); len(steps) != 2 || steps[0].Name != "program" {
		t.Errorf("got %+v", steps)
	}
	for _, port := range []int{s.Box.HTTPPort, s.Box.RegistryPort, s.Box.APIPort, s.Box.MetricsPort} {
		if port == 0 {
			t.Errorf("got %+v", s.Box)
		}
	}
}
