package build_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/watcher/build"
)

const server = `package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "answer", %d) })
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		os.Exit(1)
	}
}
`

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // ko logs each build
	m.Run()
}

// BenchmarkEdit compares Build with a plain `go build` of the same edit, in
// turns, so that both see the same machine. The ratio of the two is the metric
// to look at.
func BenchmarkEdit(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "go.mod", "module example.com/hello\n\ngo 1.26\n")
	out := filepath.Join(b.TempDir(), "out")
	builder := build.New(build.Options{})
	edit := 0
	plain := func() {
		cmd := exec.CommandContext(b.Context(), "go", "build", "-o", out, ".")
		cmd.Dir = dir
		if msg, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("go build: %v\n%s", err, msg)
		}
	}
	ours := func() {
		img, err := builder.Build(b.Context(), dir, "example.com/hello")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := img.Digest(); err != nil {
			b.Fatal(err)
		}
	}
	timed := func(f func()) time.Duration {
		edit++
		write(b, dir, "main.go", fmt.Sprintf(server, edit))
		start := time.Now()
		f()
		return time.Since(start)
	}
	timed(plain) // the standard library gets into the build cache
	timed(ours)
	var sumPlain, sumOurs time.Duration
	for b.Loop() {
		sumPlain += timed(plain)
		sumOurs += timed(ours)
	}
	b.ReportMetric(sumPlain.Seconds()*1000/float64(b.N), "plain-ms/edit")
	b.ReportMetric(sumOurs.Seconds()*1000/float64(b.N), "image-ms/edit")
	b.ReportMetric(float64(sumOurs)/float64(sumPlain), "image/plain")
}

func write(t testing.TB, dir, file, content string) {
	t.Helper()
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
