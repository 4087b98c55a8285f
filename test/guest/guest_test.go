//go:build e2e

package guest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
)

const soon = 3 * time.Minute // for what takes seconds on a quiet machine

func live(e event.Event) bool { return e.Kind == event.RevisionLive }

func TestClusterThatIsThere(t *testing.T) {
	layout := os.Getenv("DEVBOX_IMAGES")
	if layout == "" {
		t.Fatal("DEVBOX_IMAGES is not set; run `make context`, which builds the images and sets it")
	}
	c := newCluster(t, layout)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.state())
		}
	})
	alice, bob := box.Known(t, "alice", c.kubeconfig), box.Known(t, "bob", c.kubeconfig)
	asked := func(who string, more ...string) []string {
		return append([]string{"--context", c.context, "--registry", c.registry + "/" + who}, more...)
	}
	dir := box.Project(t, "hello")

	out, code := alice.Run(append([]string{"up", "--detach", dir}, asked("alice")...)...)
	if code != 3 || !strings.Contains(out, "the cluster has no Knative Serving") || !strings.Contains(out, "and no Istio") || !strings.Contains(out, "--install") {
		t.Errorf("of a cluster with nothing in it: exit %d, want to be told what is missing\n%s", code, out)
	}
	start := time.Now()
	installed := alice.Up(asked("alice", "--install", "--images", layout, "--port", "18383", dir)...)
	installed.Wait("alice's first revision", soon, live)
	t.Logf("from nothing to an answer, with --install: %s", time.Since(start).Round(time.Second))
	says(t, alice, "hello.default.example.com", "Hello World!")

	dir = box.Project(t, "hello") // bob's own
	up := bob.Up(asked("bob", "--user", "bob", "--port", "18384", dir)...)
	up.Wait("bob's first revision", soon, live)
	says(t, bob, "hello-bob.default.example.com", "Hello World!")
	// Each edit comes up on the other node, and is live when the gateway, which
	// stays where it is, leads there.
	words := []string{"Hello", "Howdy", "Hej", "Moin"}
	for i, word := range words[1:] {
		c.cordon(t, nodes()[i%2], false)
		c.cordon(t, nodes()[1-i%2], true)
		mark := up.Mark()
		box.Edit(t, filepath.Join(dir, "main.go"), `"`+words[i]+" ", `"`+word+" ")
		e := up.WaitAfter(mark, "bob's edit", soon, live)
		says(t, bob, "hello-bob.default.example.com", word+" World!")
		if on := c.nodeOf(t, e.Revision); on != nodes()[i%2] {
			t.Errorf("%s runs on %q, want %s", e.Revision, on, nodes()[i%2])
		}
		t.Logf("an edit: %s %v", e.Duration.Round(time.Millisecond), e.Phases)
	}
	c.cordon(t, nodes()[1], false)
	if out, code := bob.Run("status"); code != 0 || !strings.Contains(out, "hello-bob") || !strings.Contains(out, nodes()[1]) {
		t.Errorf("bob's status: exit %d, want his service and both nodes\n%s", code, out)
	}
	if out, code := bob.Run("load", "hello-bob", "--duration", "2s"); code != 0 {
		t.Errorf("bob's load: exit %d\n%s", code, out)
	}

	installed.Interrupt()
	if out, code := alice.Run("down"); code == 0 || !strings.Contains(out, "stays: somebody needs it, for service hello-bob in namespace default, which is of box bob of ") {
		t.Errorf("alice's down while bob has a service: exit %d, want to be told whose\n%s", code, out)
	}
	says(t, bob, "hello-bob.default.example.com", "Moin World!")
	up.Interrupt()
	for _, b := range []*box.Box{bob, alice} {
		if out, code := b.Run("down"); code != 0 {
			t.Errorf("%s's down: exit %d\n%s", b.Name(), code, out)
		}
	}
	box.Eventually(t, "nothing is left of it", func() bool {
		for _, name := range []string{"knative-serving", "istio-system"} {
			if _, err := c.clients.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return false
			}
		}
		groups, err := c.clients.Discovery().ServerGroups()
		if err != nil {
			return false
		}
		for _, g := range groups.Groups {
			if strings.HasSuffix(g.Name, "knative.dev") || strings.HasSuffix(g.Name, "istio.io") {
				return false
			}
		}
		return true
	})
}

// state is what the cluster says of its pods, for whoever has to find out why.
func (c *cluster) state() string {
	pods, err := c.clients.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	var said strings.Builder
	for _, p := range pods.Items {
		fmt.Fprintf(&said, "%s/%s on %s: %s", p.Namespace, p.Name, p.Spec.NodeName, p.Status.Phase)
		for _, s := range p.Status.ContainerStatuses {
			fmt.Fprintf(&said, ", %s ready %t", s.Name, s.Ready)
			if s.State.Waiting != nil {
				fmt.Fprintf(&said, " (%s %s)", s.State.Waiting.Reason, s.State.Waiting.Message)
			}
		}
		said.WriteString("\n")
	}
	return said.String()
}

// cordon keeps new pods off a node, or lets them come again.
func (c *cluster) cordon(t *testing.T, node string, off bool) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, off)
	if _, err := c.clients.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// nodeOf is the node on which the pods of a revision run.
func (c *cluster) nodeOf(t *testing.T, revision string) string {
	t.Helper()
	pods, err := c.clients.CoreV1().Pods(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{LabelSelector: "serving.knative.dev/revision=" + revision})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) == 0 {
		return ""
	}
	return pods.Items[0].Spec.NodeName
}

func says(t *testing.T, b *box.Box, host, want string) {
	t.Helper()
	if status, body, err := b.Get(host, "/"); err != nil || status != http.StatusOK || body != want {
		t.Errorf("GET %s: status %d, body %q, error %v; want 200 %q", host, status, body, err, want)
	}
}
