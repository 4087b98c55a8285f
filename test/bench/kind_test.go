//go:build e2e

package bench

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/box"
)

// bareCluster times `kind create cluster --wait` with the node image and the
// node settings of the box, and deletes the cluster again.
func bareCluster(b *testing.B) time.Duration {
	b.Helper()
	kind := filepath.Join(b.TempDir(), "kind")
	if out, err := exec.Command("go", "build", "-o", kind, "sigs.k8s.io/kind").CombinedOutput(); err != nil {
		b.Fatalf("building kind: %v\n%s", err, out)
	}
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
