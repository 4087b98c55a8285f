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
	for _, f := range engines.Check(t.Context(), bootstrap.Config{ImagesDir: "/images", With: []string{bootstrap.Observability}}) {
		said[f.Name] = f
	}
	if got := said["engine"].Message; got != "embedded engine, since it is stopped" {
		t.Errorf("got %q", got)
	}
	for _, name := range []string{"images", bootstrap.Observability} {
		if said[name].Level != bootstrap.Warn {
			t.Errorf("%s, which it has not: %+v", name, said[name])
		}
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
