//go:build e2e

package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
)

const (
	host   = "hello.default.example.com"
	rounds = 3               // of bringing a box up from nothing
	edits  = 20              // of one save each
	pause  = 3 * time.Second // between them, as a person would, so that the pods of the last one are gone
)

func live(e event.Event) bool { return e.Kind == event.RevisionLive }

// BenchmarkUp brings a box up from nothing to the example's first answer, in
// turn with a bare kind cluster of the same node image.
func BenchmarkUp(b *testing.B) {
	kind := buildKind(b)
	var ours, bare []time.Duration
	for range rounds {
		bare = append(bare, bareCluster(b, kind))
		bx := box.New(b, "devbox-bench")
		dir := box.Project(b, "hello")
		start := time.Now()
		bx.Up("--port", "18080", dir).Wait("the first revision", 5*time.Minute, live)
		ours = append(ours, time.Since(start))
		if out, code := bx.Run("down"); code != 0 {
			b.Fatalf("devbox down: exit %d\n%s", code, out)
		}
	}
	r := ratio(median(ours), median(bare))
	b.ReportMetric(r, "x/kind-create")
	b.ReportMetric(median(ours).Seconds(), "s/up")
	rows = append(rows, row{
		what: fmt.Sprintf("`devbox up` from nothing to the first answer, images present, median of %d", rounds),
		ours: round(median(ours)), against: "`kind create cluster --wait`, same node image: " + round(median(bare)),
		ratio: fmt.Sprintf("%.2f", r), goal: "2.5 (1.5 wanted)",
	})
}

func buildKind(b *testing.B) string {
	b.Helper()
	kind := filepath.Join(b.TempDir(), "kind")
	if out, err := exec.Command("go", "build", "-o", kind, "sigs.k8s.io/kind").CombinedOutput(); err != nil {
		b.Fatalf("building kind: %v\n%s", err, out)
	}
	return kind
}

// bareCluster times `kind create cluster --wait` with the node image and the
// node settings of the box, and deletes the cluster again.
func bareCluster(b *testing.B, kind string) time.Duration {
	b.Helper()
	config := filepath.Join(b.TempDir(), "kind.yaml")
	box.Write(b, config, `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {disableDefaultCNI: true}
featureGates: {KubeletInUserNamespace: true}
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
`)
	kubeconfig := filepath.Join(b.TempDir(), "kubeconfig")
	run := func(args ...string) {
		args = append(args, "--name", "devbox-bench-bare", "--kubeconfig", kubeconfig)
		if out, err := exec.Command(kind, args...).CombinedOutput(); err != nil {
			b.Fatalf("kind %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	start := time.Now()
	run("create", "cluster", "--wait", "5m", "--image", nodeImage(b), "--config", config)
	took := time.Since(start)
	run("delete", "cluster")
	return took
}

// nodeImage reads the node image's name from the lab's layout.
func nodeImage(b *testing.B) string {
	b.Helper()
	data, err := os.ReadFile(filepath.Join(os.Getenv("DEVBOX_IMAGES"), "index.json"))
	if err != nil {
		b.Fatal(err)
	}
	var index struct {
		Manifests []struct{ Annotations map[string]string }
	}
	if err := json.Unmarshal(data, &index); err != nil {
		b.Fatal(err)
	}
	for _, m := range index.Manifests {
		if m.Annotations["dev.devbox.role"] == "node" {
			return m.Annotations["org.opencontainers.image.ref.name"]
		}
	}
	b.Fatal("the layout names no node image")
	return ""
}

// BenchmarkBox measures on one box what a day with it is made of.
func BenchmarkBox(b *testing.B) {
	bx := box.New(b, "devbox-bench")
	dir := box.Project(b, "hello")
	up := bx.Up("--port", "18080", dir)
	up.Wait("the first revision", 5*time.Minute, live)
	measureEdits(b, bx, up, dir)
	measureMemory(b, bx)
	up.Interrupt()
	measureSecondUp(b, bx, dir)
}

// measureEdits saves edits one after another, each until a client sees its
// answer, in turn with a plain go build of such an edit.
func measureEdits(b *testing.B, bx *box.Box, up *box.Session, dir string) {
	b.Helper()
	plain := box.Project(b, "hello")
	goBuild(b, plain) // both sides have their caches warm
	poll := bx.Poll(host, 20*time.Millisecond)
	var ours, builds []time.Duration
	phases := map[string][]time.Duration{}
	last := `"Hello `
	for i := range edits {
		word := fmt.Sprintf(`"Edit%02d `, i)
		time.Sleep(pause)
		box.Edit(b, filepath.Join(plain, "main.go"), last, strings.Replace(word, "Edit", "Plain", 1))
		builds = append(builds, goBuild(b, plain))
		box.Edit(b, filepath.Join(plain, "main.go"), strings.Replace(word, "Edit", "Plain", 1), word)

		mark := up.Mark()
		start := time.Now()
		box.Edit(b, filepath.Join(dir, "main.go"), last, word)
		at, ok := poll.Await(strings.Trim(word, `"`)+"World!", time.Minute)
		if !ok {
			b.Fatalf("no answer of edit %d in a minute", i)
		}
		ours = append(ours, at.Sub(start))
		for _, p := range up.WaitAfter(mark, "the new revision", time.Minute, live).Phases {
			phases[p.Name] = append(phases[p.Name], p.Duration)
		}
		last = word
	}
	requests, failures, _ := poll.Stop()
	r := ratio(median(ours), median(builds))
	b.ReportMetric(r, "x/go-build")
	b.ReportMetric(float64(len(failures)), "failed-requests")
	rows = append(rows, row{
		what: fmt.Sprintf("save to the new revision's first answer through the gateway, median of %d, %s apart", edits, pause),
		ours: fmt.Sprintf("%s (worst %s)", round(median(ours)), round(slices.Max(ours))), against: "`go build` of the same edit: " + round(median(builds)),
		ratio: fmt.Sprintf("%.2f (worst against median %.2f)", r, ratio(slices.Max(ours), median(builds))), goal: "2.5 (1.0 later)",
	}, row{
		what: fmt.Sprintf("failed requests during the %d edits", edits), ours: fmt.Sprint(len(failures)), against: fmt.Sprintf("%d requests, one every 20 ms", requests), ratio: "", goal: "0",
	})
	for _, name := range slices.Sorted(maps.Keys(phases)) {
		rows = append(rows, row{what: "of an edit: " + name + ", median", ours: round(median(phases[name]))})
	}
	for _, f := range failures {
		b.Log(f)
	}
}

func goBuild(b *testing.B, dir string) time.Duration {
	b.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "out.bin"), ".")
	cmd.Dir = dir
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return time.Since(start)
}

// measureMemory reads the kubelet's figures of our own pods.
func measureMemory(b *testing.B, bx *box.Box) {
	b.Helper()
	time.Sleep(20 * time.Second) // idle, and the kubelet's figures are up to date
	node := bx.Name() + "-control-plane"
	out, err := exec.Command("docker", "exec", node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary").Output()
	if err != nil {
		b.Fatalf("asking the kubelet for its figures: %v", err)
	}
	var summary struct {
		Pods []struct {
			PodRef     struct{ Name, Namespace string }
			Containers []struct {
				Name   string
				Memory struct{ WorkingSetBytes, RSSBytes uint64 }
			}
		}
	}
	if err := json.Unmarshal(out, &summary); err != nil {
		b.Fatal(err)
	}
	mib := func(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
	var both, queue uint64
	for _, p := range summary.Pods {
		for _, c := range p.Containers {
			switch {
			case p.PodRef.Namespace == "knative-serving":
				rows = append(rows, row{what: "memory of " + c.Name + ", idle (resident)", ours: mib(c.Memory.RSSBytes)})
				if c.Name == "controller" || c.Name == "activator" {
					both += c.Memory.RSSBytes
				}
			case c.Name == "queue-proxy":
				queue = max(queue, c.Memory.RSSBytes)
			}
		}
	}
	rows = append(rows,
		row{what: "memory of control and data plane together, idle (resident)", ours: mib(both), against: "upstream's six pods, measured by hand: 355 MiB", ratio: fmt.Sprintf("%.2f", float64(both)/(355<<20)), goal: "64 MiB"},
		row{what: "memory of queue-proxy, idle (resident)", ours: mib(queue), against: "upstream's, measured by hand: 27 MiB", ratio: fmt.Sprintf("%.2f", float64(queue)/(27<<20)), goal: "8 MiB"},
	)
}

// measureSecondUp times `devbox up` of a running box until the service
// answers.
func measureSecondUp(b *testing.B, bx *box.Box, dir string) {
	b.Helper()
	var took []time.Duration
	for range rounds {
		start := time.Now()
		if out, code := bx.Run("up", "--detach", "--images", os.Getenv("DEVBOX_IMAGES"), dir); code != 0 {
			b.Fatalf("a second up: exit %d\n%s", code, out)
		}
		if status, body, err := bx.Get(host, "/"); err != nil || status != 200 {
			b.Fatalf("after a second up: status %d, body %q, error %v", status, body, err)
		}
		took = append(took, time.Since(start))
	}
	b.ReportMetric(median(took).Seconds(), "s/second-up")
	rows = append(rows, row{what: fmt.Sprintf("a second `devbox up` of a running box until it answers, median of %d", rounds), ours: round(median(took)), goal: "5 s"})
}
