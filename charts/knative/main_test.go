package main

import (
	"os"
	"testing"
)

// TestPageIsCurrent: docs/knative.md says what the code does.
func TestPageIsCurrent(t *testing.T) {
	want, err := page()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/knative.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/knative.md is not what `go generate ./charts` writes")
	}
}
