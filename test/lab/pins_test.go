package main

import (
	"os"
	"testing"

	"golang.org/x/mod/modfile"
)

// The box must be made of what devbox is linked with: kind's node files of
// another kind, or Istio's images beside charts of another Istio, fail in ways
// that nobody would look for here.
func TestPinsAgreeWithDevbox(t *testing.T) {
	pins, err := openModules(t.Context(), os.DirFS("."), ".", "kubernetes", "etcd", "istio")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	devbox := goModule{dir: "../..", mod: mod}
	for module, pin := range map[string]string{
		kindModule: ".", kubernetesModule: "kubernetes", "go.etcd.io/etcd/server/v3": "etcd", istioModule: "istio",
	} {
		want, err := devbox.version(module)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := pins[pin].version(module); err != nil || got != want {
			t.Errorf("%s: the lab builds %s (%v), devbox links %s", module, got, err, want)
		}
	}
}
