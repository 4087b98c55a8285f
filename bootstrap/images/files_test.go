package images

import (
	"hash/fnv"
	"math/rand"
	"os"
	"testing"
)

// source makes the content of an image of that role, the same every time.
func source(r Role) rand.Source {
	seed := fnv.New64()
	seed.Write([]byte(r))
	return rand.NewSource(int64(seed.Sum64()))
}

func overwrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
