package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestBoxFolders: a change of any source that the box's program is made of
// makes another program.
func TestBoxFolders(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", modulePath+"/cmd/box").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		ours, ok := strings.CutPrefix(path, modulePath+"/")
		if ok && !slices.ContainsFunc(boxFolders, func(folder string) bool { return ours == folder || strings.HasPrefix(ours, folder+"/") }) {
			t.Errorf("%s is in none of %v", ours, boxFolders)
		}
	}
}
