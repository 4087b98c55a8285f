// Command dashboards writes the Grafana dashboards of charts/observability
// from the list of panels that devbox's own page draws:
//
//	internal/panel --> grafana-foundation-sdk --> observability/dashboards/*.json
//
// It is called by `go generate`, and `make check` sees that what it writes is
// what is committed.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kind-in-a-box/devbox/internal/panel"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

// run writes a file for each dashboard, and leaves none of one that is no more.
func run(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range panel.Dashboards {
		built, err := build(d)
		if err != nil {
			return fmt.Errorf("building %s: %w", d.Title, err)
		}
		text, err := encode(built)
		if err != nil {
			return fmt.Errorf("writing %s: %w", d.Title, err)
		}
		if err := os.WriteFile(filepath.Join(dir, d.UID+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func encode(d classic) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return text.Bytes(), err
}
