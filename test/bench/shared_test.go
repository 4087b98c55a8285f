//go:build e2e

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

const (
	dependants  = 10
	sharedEdits = 10 // each is ten programs, on both sides
)

const sharingMain = `package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	%s
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, %s) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`

// BenchmarkShared edits a package that ten services of a module share, and an
// eleventh does not, against go build of the ten in turns. It counts until the
// last is live; exactly the ten have a new revision of each edit.
func BenchmarkShared(b *testing.B) {
	bx := box.New(b, "devbox-bench")
	ours, reference := sharing(b), sharing(b)
	names := []string{"stranger"}
	for i := range dependants {
		names = append(names, fmt.Sprintf("service-%d", i))
	}
	args := []string{"--port", "18080"}
	for _, name := range names {
		args = append(args, filepath.Join(ours, "cmd", name))
	}
	up := bx.Up(args...)
	file := filepath.Join("greeting", "greeting.go")
	wait := func(after int, names ...string) {
		for _, name := range names {
			up.WaitAfter(after, name, 10*time.Minute, func(e event.Event) bool { return live(e) && e.Service == name })
		}
	}
	wait(0, names...)
	var took, build []time.Duration
	for n := range sharedEdits + 1 { // of the first the loop learns how the programs are made
		time.Sleep(pause)
		word := fmt.Sprintf("edit %d", n)
		box.Write(b, filepath.Join(reference, file), greeting(word))
		start := time.Now()
		goBuildTen(b, reference)
		built := time.Since(start)
		before := up.Mark()
		start = time.Now()
		box.Write(b, filepath.Join(ours, file), greeting(word))
		wait(before, names[1:]...)
		if n > 0 {
			took, build = append(took, time.Since(start)), append(build, built)
		}
	}
	for _, name := range names {
		want := fmt.Sprintf("%s-%05d", name, sharedEdits+2)
		if name == "stranger" {
			want = name + "-00001"
		}
		var s servingv1.Service
		if err := bx.Serving().Get(b.Context(), types.NamespacedName{Namespace: "default", Name: name}, &s); err != nil {
			b.Fatal(err)
		}
		if got := s.Status.LatestCreatedRevisionName; got != want {
			b.Errorf("%s has revision %s, want %s", name, got, want)
		}
	}
	x := ratio(median(took), median(build))
	b.ReportMetric(x, "x/go-build")
	note(b, row{
		what:     fmt.Sprintf("a package that %d services share: save to the last one live, median of %d", dependants, len(took)),
		measured: fmt.Sprintf("%s (worst %s)", round(median(took)), round(slices.Max(took))),
		against:  "`go build` of the ten: " + round(median(build)), ratio: fmt.Sprintf("%.2f", x),
	})
}

// sharing is a module of ten services that import a package, and one that does
// not.
func sharing(b *testing.B) string {
	b.Helper()
	tree := fstest.MapFS{
		"go.mod":               {Data: []byte("module example.com/sharing\n\ngo 1.26\n")},
		"greeting/greeting.go": {Data: []byte(greeting("the first"))},
		"cmd/stranger/main.go": {Data: fmt.Appendf(nil, sharingMain, "", `"a stranger"`)},
	}
	for i := range dependants {
		tree[fmt.Sprintf("cmd/service-%d/main.go", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, sharingMain, `"example.com/sharing/greeting"`, "greeting.Word()")}
	}
	dir := b.TempDir()
	if err := os.CopyFS(dir, tree); err != nil {
		b.Fatal(err)
	}
	return dir
}

func greeting(word string) string {
	return fmt.Sprintf("package greeting\n\nfunc Word() string { return %q }\n", word)
}

func goBuildTen(b *testing.B, dir string) {
	b.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "bin")+"/", "./cmd/...")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
}
