//go:build e2e

package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/loopbench"
	"github.com/kind-in-a-box/devbox/test/box"
)

// loopEdits is how many edits BenchmarkLoop makes of each program.
const loopEdits = 30

// large is a service of some hundred packages.
const large = `package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func main() {
	c, err := kubernetes.NewForConfig(&rest.Config{Host: os.Getenv("HOST")})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/pods", func(w http.ResponseWriter, r *http.Request) {
		pods, err := c.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{})
		fmt.Fprintln(w, pods, err)
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`

// BenchmarkLoop has `devbox bench loop` measure edits of the example, and of a
// service that imports client-go, against go build of such edits in turns: with
// no pod that stands by, and with one.
func BenchmarkLoop(b *testing.B) {
	bx := box.New(b, "devbox-bench")
	if out, code := bx.Run("up", "--detach", "--port", "18080", box.Project(b, "hello")); code != 0 {
		b.Fatalf("devbox up: exit %d\n%s", code, out)
	}
	b.Run("Hello", func(b *testing.B) { measureLoop(b, bx, box.Project(b, "hello"), "examples/hello") })
	b.Run("Large", func(b *testing.B) { measureLoop(b, bx, largeProject(b), "a service that imports client-go") })
}

// largeProject is a module with the requirements of our own.
func largeProject(b *testing.B) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "large")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		b.Fatal(err)
	}
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		b.Fatal(err)
	}
	_, requires, _ := strings.Cut(string(mod), "\n")
	box.Write(b, filepath.Join(dir, "go.mod"), "module example.com/large\n"+requires)
	box.Write(b, filepath.Join(dir, "go.sum"), string(sum))
	box.Write(b, filepath.Join(dir, "main.go"), large)
	return dir
}

func measureLoop(b *testing.B, bx *box.Box, dir, what string) {
	b.Helper()
	for pods, way := range []struct {
		name  string
		goals map[string]string // by engine
	}{
		{"no pod stands by", map[string]string{"kind": "1.6"}},
		{"a pod stands by", map[string]string{"embedded": "0.8", "kind": "0.9 (0.8 with client-go)"}},
	} {
		standBy(b, bx, pods)
		// Between two turns a person would think, and a pod comes to stand by.
		out, code := bx.Run("bench", "loop", "--edits", fmt.Sprint(loopEdits), "--pause", "2s", "-o", "json", dir)
		var r loopbench.Report
		if err := json.NewDecoder(strings.NewReader(out)).Decode(&r); code != 0 || err != nil {
			b.Fatalf("devbox bench loop: exit %d, %v\n%s", code, err, out)
		}
		unit := "x/go-build"
		if pods > 0 {
			unit = "x/go-build-standby"
		}
		b.ReportMetric(r.Ratio, unit)
		noteLoop(b, &r, fmt.Sprintf("`devbox bench loop` of %s, %s", what, way.name), way.goals[engine])
	}
}

func noteLoop(b *testing.B, r *loopbench.Report, what, goal string) {
	b.Helper()
	var phases []string
	for _, p := range r.Phases {
		phases = append(phases, fmt.Sprintf("%s %s", p.Name, p.Median.Round(time.Millisecond)))
	}
	note(b, row{
		what:     fmt.Sprintf("%s: save to live, median of %d, %s apart", what, r.Edits, r.Pause),
		measured: fmt.Sprintf("%s (p95 %s, worst %s)", round(r.Live.Median), round(r.Live.P95), round(r.Live.Worst)),
		against:  "`go build` of such an edit: " + round(r.GoBuild.Median), ratio: fmt.Sprintf("%.2f", r.Ratio), goal: goal,
	}, row{
		what: "the same", measured: round(r.Live.Median),
		against: "`go build -ldflags=\"-s -w\"`: " + round(r.Stripped.Median), ratio: fmt.Sprintf("%.2f", r.RatioStripped),
	}, row{what: "of it, medians", measured: strings.Join(phases, ", ")})
}
