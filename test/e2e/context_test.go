//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

// guests are two people whose devbox knows the box as a cluster with serving in
// it. On kind they come in by a port-forward.
func (d *day) guests(t *testing.T) {
	kubeconfig := filepath.Join(d.Folder(), "kubeconfig")
	file, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Box struct{ Registry string } }
	out, code := d.Run("status", "-o", "json")
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&status); err != nil || code != 0 {
		t.Fatalf("devbox status: exit %d, %v\n%s", code, err, out)
	}
	registry := status.Box.Registry
	there := func(who string, port int) []string {
		args := []string{"--context", file.CurrentContext, "--registry", registry + "/" + who}
		if d.Engine() == "embedded" {
			return append(args, "--gateway", d.Gateway) // which is no Service there
		}
		return append(args, "--port", strconv.Itoa(port))
	}
	bob, carol := d.Guest("bob"), d.Guest("carol")
	dir := box.Project(t, "hello")

	out, code = bob.Run(append([]string{"up", "--detach", dir}, there("bob", 18381)...)...)
	if code != 3 || !strings.Contains(out, "has a service hello already, which devbox did not make") {
		t.Errorf("of a service that is the owner's of the cluster: exit %d, want a refusal\n%s", code, out)
	}
	up := bob.Up(append([]string{"--user", "bob", dir}, there("bob", 18381)...)...)
	up.Wait("bob's first revision", soon, live)
	says := func(b *box.Box, host, want string) {
		t.Helper()
		if status, body, err := b.Get(host, "/"); err != nil || status != http.StatusOK || body != want {
			t.Errorf("GET %s: status %d, body %q, error %v; want 200 %q", host, status, body, err, want)
		}
	}
	says(bob, "hello-bob.default.example.com", "Hello World!")

	out, code = carol.Run(append([]string{"up", "--detach", "--user", "bob", dir}, there("carol", 18382)...)...)
	if code != 3 || !strings.Contains(out, "has a service hello-bob already, which is of box bob of ") {
		t.Errorf("of a service that is bob's: exit %d, want a refusal that names him\n%s", code, out)
	}
	if out, code := carol.Run(append([]string{"up", "--detach", "--user", "carol", dir}, there("carol", 18382)...)...); code != 0 {
		t.Fatalf("carol's up beside bob's: exit %d\n%s", code, out)
	}
	if out, code := carol.Run("status", "-o", "json"); code != 0 || !strings.Contains(out, `"hello-carol"`) || strings.Contains(out, `"hello-bob"`) {
		t.Errorf("carol's status: exit %d, want her service and nobody else's\n%s", code, out)
	}
	if out, code := carol.Run("down"); code != 0 {
		t.Errorf("carol's down while bob's up runs: exit %d\n%s", code, out)
	}

	mark := up.Mark()
	box.Edit(t, filepath.Join(dir, "main.go"), `"Hello `, `"Howdy `)
	edit := up.WaitAfter(mark, "bob's edit", soon, live)
	says(bob, "hello-bob.default.example.com", "Howdy World!")
	t.Logf("an edit in a cluster that is there already: %s %v", edit.Duration, edit.Phases)
	if out, code := bob.Run("wait", "hello-bob"); code != 0 || !strings.HasPrefix(out, edit.Revision) {
		t.Errorf("devbox wait hello-bob: exit %d, want %s\n%s", code, edit.Revision, out)
	}
	mark = up.Mark()
	if out, code := bob.Run("down"); code != 0 {
		t.Errorf("bob's down: exit %d\n%s", code, out)
	}
	up.WaitAfter(mark, "bob's up to end with his box", soon, func(e event.Event) bool { return e.Kind == event.StepFailed })
	d.expect(t, d.answer)
	var left servingv1.ServiceList
	if err := d.Serving().List(t.Context(), &left); err != nil || len(left.Items) != 1 || left.Items[0].Name != "hello" {
		t.Errorf("when the guests have gone there is %+v, error %v; want the owner's service alone", left.Items, err)
	}
}
