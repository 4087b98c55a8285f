package main

import (
	"slices"
	"testing"
	"testing/fstest"
)

// The key is all that decides whether an artefact is made again: it must change
// with every input and with nothing else.
func TestHashChangesWithEveryInput(t *testing.T) {
	files := fstest.MapFS{"go.mod": {Data: []byte("module a")}, "node.go": {Data: []byte("package main")}}
	base := func() recipe {
		return recipe{
			name:  "node image",
			needs: []*artefact{{recipe: recipe{name: "debian root"}, key: "1"}},
			text:  []string{"v1.37.2", "-trimpath"},
			files: []string{"go.mod"},
		}
	}
	want := hash(t, base(), files)
	if again := hash(t, base(), files); again != want {
		t.Fatalf("the same recipe hashes to %s and to %s", want, again)
	}
	for name, change := range map[string]func(*recipe, fstest.MapFS){
		"name":       func(r *recipe, _ fstest.MapFS) { r.name = "other image" },
		"need's key": func(r *recipe, _ fstest.MapFS) { r.needs[0].key = "2" },
		"text":       func(r *recipe, _ fstest.MapFS) { r.text[0] = "v1.37.3" },
		"boundary":   func(r *recipe, _ fstest.MapFS) { r.text = []string{"v1.37.2-trimpath"} },
		"order":      func(r *recipe, _ fstest.MapFS) { slices.Reverse(r.text) },
		"more files": func(r *recipe, _ fstest.MapFS) { r.files = append(r.files, "node.go") },
		"contents":   func(_ *recipe, f fstest.MapFS) { f["go.mod"] = &fstest.MapFile{Data: []byte("module b")} },
	} {
		changed, changedFiles := base(), fstest.MapFS{"go.mod": files["go.mod"], "node.go": files["node.go"]}
		change(&changed, changedFiles)
		if hash(t, changed, changedFiles) == want {
			t.Errorf("%s: the key stays the same", name)
		}
	}
}

func TestHashNamesAMissingInput(t *testing.T) {
	if _, err := (recipe{name: "node image", files: []string{"gone.go"}}).hash(fstest.MapFS{}); err == nil {
		t.Error("a recipe with a missing file has a key")
	}
}

func hash(t *testing.T, r recipe, files fstest.MapFS) string {
	t.Helper()
	key, err := r.hash(files)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
