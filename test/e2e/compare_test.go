//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	compared "github.com/kind-in-a-box/devbox/internal/compare"
	"github.com/kind-in-a-box/devbox/internal/way"
	"github.com/kind-in-a-box/devbox/test/box"
)

// TestCompare draws the way of a request to a pod with a sidecar, and compares
// a program in four ways, on a box that is not in the mesh.
func TestCompare(t *testing.T) {
	b := box.New(t, "devbox-compare")
	c := &comparing{Box: b, dir: box.Program(t, filepath.Join("..", "subject"))}
	if out, code := b.Run("up", "--port", "18084", "--detach", c.dir); code != 0 {
		t.Fatalf("devbox up: exit %d\n%s", code, out)
	}
	if b.Engine() != "kind" {
		if out, code := b.Run("compare", c.dir); code != 3 || !strings.Contains(out, "no Istio") {
			t.Errorf("devbox compare: exit %d, want 3 and that there is no Istio:\n%s", code, out)
		}
		return
	}
	t.Run("the way through a sidecar", c.trace)
	t.Run("four ways", c.compare)
	t.Run("cut short", c.cutShort)
}

type comparing struct {
	*box.Box
	dir string
}

// trace is of a service whose template asks for a sidecar.
func (c *comparing) trace(t *testing.T) {
	box.Edit(t, filepath.Join(c.dir, "service.yaml"), "    metadata:\n", "    metadata:\n      labels:\n        sidecar.istio.io/inject: \"true\"\n")
	if out, code := c.Run("up", "--detach", c.dir); code != 0 {
		t.Fatalf("devbox up: exit %d\n%s", code, out)
	}
	var w way.Way
	c.report(t, &w, "trace", "subject", "-o", "json")
	sidecar := w.Hop(way.Sidecar)
	if sidecar == nil {
		t.Fatalf("there is no sidecar on the way: %+v", w)
	}
	last := sidecar.Rules[len(sidecar.Rules)-1]
	if !strings.HasSuffix(sidecar.Listen, ":15006") || !last.Met || last.Count == 0 || !strings.HasSuffix(last.Rule, "--to-ports 15006") {
		t.Errorf("the sidecar is reached at %s, by %+v", sidecar.Listen, last)
	}
	if s := sidecar.TLS; s == nil || s.Version == "" || s.Cipher == "" || s.Server != podID || !strings.HasSuffix(s.Client, "/sa/activator") {
		t.Errorf("the activator's session with the pod is %+v", s)
	}
}

// report runs a command that reports JSON, and reads it.
func (c *comparing) report(t *testing.T, into any, args ...string) {
	t.Helper()
	cmd := c.Command(t.Context(), args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if err == nil {
		err = json.Unmarshal(out.Bytes(), into)
	}
	if err != nil {
		t.Fatalf("devbox %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), said.String())
	}
}

func (c *comparing) compare(t *testing.T) {
	var r compared.Report
	c.report(t, &r, "compare", c.dir, "--rounds", "1", "--duration", "1s", "-o", "json")
	if len(r.Variants) != len(compared.Variants) || len(r.Differences) != 4 || len(r.Words) == 0 {
		t.Errorf("the report is %+v", r)
	}
	for _, v := range r.Variants {
		has := map[string]bool{}
		for _, one := range v.Containers {
			has[one.Name] = one.Memory > 0 && one.CPU > 0
		}
		want := map[string]bool{"gateway": true, "activator": v.Serving, "queue-proxy": v.Serving, "istio-proxy": v.Sidecar}
		for name, is := range want {
			if has[name] != is {
				t.Errorf("%s: %s is on its way: %t, want %t: %+v", v.Variant, name, has[name], is, v.Containers)
			}
		}
		if v.Failed != 0 || v.PerSecond == 0 || v.P50 == 0 || len(v.First) != 1 || (v.Cold != nil) != v.Serving || (v.Idle.Pods == 0) != v.Serving {
			t.Errorf("%s: %+v", v.Variant, v)
		}
	}
	c.gone(t)
}

// cutShort ends a comparison in its middle: it leaves nothing.
func (c *comparing) cutShort(t *testing.T) {
	cmd := c.Command(t.Context(), "compare", c.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, "a variant has pods", func() bool { return len(c.PodsOf(compared.Namespace, "")) > 0 })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says what is asked for below
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	c.gone(t)
}

func (c *comparing) gone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := c.Kubernetes().CoreV1().Namespaces().Get(ctx, compared.Namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("namespace %s is left: %v", compared.Namespace, err)
	}
}
