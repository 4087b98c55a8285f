package build_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// client is a program of some hundred packages.
const client = `package main

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func main() {
	c, err := kubernetes.NewForConfig(&rest.Config{Host: os.Getenv("HOST")})
	if err != nil {
		panic(err)
	}
	fmt.Println(c.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{}))
	fmt.Println("answer", %d)
}
`

// BenchmarkEdit makes edits in turns with a plain `go build`, with one that
// leaves out the symbols, and with a Builder that remembers, whose time is
// that of the whole image, so that all see the same machine. The ratios are
// the metrics to look at.
func BenchmarkEdit(b *testing.B) {
	b.Run("hello", func(b *testing.B) { benchmarkEdit(b, "go 1.26\n", server) })
	b.Run("client-go", func(b *testing.B) {
		mod, err := os.ReadFile("../../go.mod")
		if err != nil {
			b.Fatal(err)
		}
		_, requires, _ := strings.Cut(string(mod), "\n")
		benchmarkEdit(b, requires, client)
	})
}

func benchmarkEdit(b *testing.B, mod, source string) {
	dir, out := b.TempDir(), filepath.Join(b.TempDir(), "out")
	write(b, dir, "go.mod", "module example.com/hello\n\n"+mod)
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		b.Fatal(err)
	}
	write(b, dir, "go.sum", string(sum))
	write(b, dir, "main.go", fmt.Sprintf(source, 0))
	builder := remembers(b)
	goBuild := func(flags ...string) func() {
		return func() {
			cmd := exec.CommandContext(b.Context(), "go", append(append([]string{"build", "-o", out}, flags...), ".")...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
			if msg, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("go build: %v\n%s", err, msg)
			}
		}
	}
	image := func() string {
		img, err := builder.Build(b.Context(), dir, "example.com/hello")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := img.Digest(); err != nil {
			b.Fatal(err)
		}
		return build.Way(img)
	}
	plain, stripped := goBuild(), goBuild("-ldflags=-s -w")
	plain() // all that is imported gets into the build cache
	image()
	builder.Learned()
	edit := 0
	var spent [3][]float64
	for b.Loop() {
		for i, way := range []func(){plain, stripped, func() {
			if got, want := image(), "compiled example.com/hello and linked"; got != want {
				b.Fatalf("the image is made %s, not %s", got, want)
			}
		}} {
			edit++
			write(b, dir, "main.go", fmt.Sprintf(source, edit))
			start := time.Now()
			way()
			spent[i] = append(spent[i], time.Since(start).Seconds()*1000)
		}
	}
	for i := range spent {
		slices.Sort(spent[i])
	}
	median := func(i int) float64 { return spent[i][len(spent[i])/2] }
	b.ReportMetric(median(0), "plain-ms/edit")
	b.ReportMetric(median(1), "stripped-ms/edit")
	b.ReportMetric(median(2), "image-ms/edit")
	b.ReportMetric(median(2)/median(0), "image/plain")
	b.ReportMetric(median(2)/median(1), "image/stripped")
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
