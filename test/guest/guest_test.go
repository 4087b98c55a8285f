//go:build e2e

package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/rollout"
	"github.com/kind-in-a-box/devbox/charts/istio"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/loopbench"
	"github.com/kind-in-a-box/devbox/internal/push"
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
	c.strangers(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), c.credentials(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir) // whoever comes now has logged in
	c.pullSecret(t)
	c.colleagues(t, layout)
	c.ontoAnIstio(t, layout)
}

// asked are the flags with which somebody goes to the cluster.
func (c *cluster) asked(who string, more ...string) []string {
	return append([]string{"--context", c.context, "--registry", c.registry + "/" + who}, more...)
}

// strangers are refused before anything is made: in a cluster with nothing in it,
// and by a registry that does not know them.
func (c *cluster) strangers(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	mallory := box.Known(t, "mallory", c.kubeconfig)
	dir := box.Project(t, "hello")
	for _, r := range []struct {
		more []string
		want []string
	}{
		{nil, []string{"the cluster has no Knative Serving", "and no Istio", "--install"}},
		{[]string{"--install"}, []string{c.registry + " does not know you (401)", "docker login " + c.registry}},
	} {
		out, code := mallory.Run(append([]string{"up", "--detach", dir}, c.asked("mallory", r.more...)...)...)
		for _, want := range r.want {
			if code != 3 || !strings.Contains(out, want) {
				t.Errorf("mallory's up %v: exit %d, want 3 and %q\n%s", r.more, code, want, out)
			}
		}
	}
	if left := c.installed(t); len(left) > 0 {
		t.Errorf("of what was refused there is %v", left)
	}
}

// pullSecret makes the Secret with which pods take images.
func (c *cluster) pullSecret(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: c.credentials()},
	}
	if _, err := c.clients.CoreV1().Secrets(metav1.NamespaceDefault).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// colleagues are alice, who installs, and bob, who works there.
func (c *cluster) colleagues(t *testing.T, layout string) {
	alice, bob := box.Known(t, "alice", c.kubeconfig), box.Known(t, "bob", c.kubeconfig)
	start := time.Now()
	installed := alice.Up(c.asked("alice", "--install", "--pull-secret", "pull", "--images", layout, "--port", "18383", box.Project(t, "hello"))...)
	installed.Wait("alice's first revision", soon, live)
	t.Logf("from nothing to an answer, with --install: %s", time.Since(start).Round(time.Second))
	says(t, alice, "hello.default.example.com", "Hello World!")

	dir := box.Project(t, "hello") // bob's own
	up := bob.Up(c.asked("bob", "--user", "bob", "--port", "18384", dir)...)
	up.Wait("that nodes may not take bob's image", soon, func(e event.Event) bool {
		return e.Kind == event.RevisionFailed && strings.Contains(e.Hint, "--pull-secret")
	})
	up.Interrupt()
	up = bob.Up("--pull-secret", "pull", dir) // the rest is remembered
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
	c.commands(t, bob)

	installed.Interrupt()
	if out, code := alice.Run("down"); code == 0 || !strings.Contains(out, "stays: somebody needs it, for service hello-bob in namespace default, which is of box bob of ") {
		t.Errorf("alice's down while bob has a service: exit %d, want to be told whose\n%s", code, out)
	}
	says(t, bob, "hello-bob.default.example.com", "Moin World!")
	up.Interrupt()
	c.measure(t, bob, dir)
	for _, b := range []*box.Box{bob, alice} {
		if out, code := b.Run("down"); code != 0 {
			t.Errorf("%s's down: exit %d\n%s", b.Name(), code, out)
		}
	}
	box.Eventually(t, "nothing is left of it", func() bool { return len(c.installed(t)) == 0 })
}

// commands are those about services, as a guest gives them while his up runs.
func (c *cluster) commands(t *testing.T, bob *box.Box) {
	const host = "hello-bob.default.example.com"
	newest, before := "hello-bob-00005", "hello-bob-00004" // the first was not to be had, nor had it a pull secret
	for _, r := range []struct {
		args string
		code int
		want []string
	}{
		{"status", 0, []string{"hello-bob", nodes()[0], nodes()[1]}},
		{"services", 0, []string{"hello-bob", newest}},
		{"revisions hello-bob", 0, []string{newest, before}},
		{"describe hello-bob", 0, []string{host, newest + " (@latest)", "/bob/hello-bob@sha256:", "RoutesReady"}},
		{"describe hello-bob " + newest, 0, []string{newest + " of service hello-bob", "Running"}},
		{"url hello-bob", 0, []string{"http://hello-bob.default.localhost:18384", "curl -H 'Host: " + host + "' http://127.0.0.1:18384"}},
		{"logs hello-bob", 0, []string{"greeting World"}},
		{"exec hello-bob --name bob -- /ko-app/hello", 1, []string{"address already in use"}},
		{"wait hello-bob", 0, []string{newest}},
		{"traffic hello-bob --to " + before + "=100 --tag @latest=new", 0, []string{"100%", before, "new-" + host}},
		{"wait hello-bob", 6, []string{"gets 0% of the traffic"}},
		{"hold hello-bob --release", 0, []string{newest + " serves"}},
		{"rollback hello-bob", 0, []string{before + " serves, until"}},
		{"traffic hello-bob", 0, []string{"100%", before}},
		{"hold hello-bob --release", 0, []string{newest + " serves"}},
		{"hold hello-bob", 0, []string{newest + " serves, until"}},
		{"hold hello-bob --release", 0, []string{newest + " serves"}},
		{"load hello-bob --duration 2s", 0, []string{"Success"}},
		{"load hello-bob --duration 2s --compare " + before + "," + newest, 0, []string{before, newest}},
		{"trace hello-bob", 0, []string{"activator"}},
	} {
		out, code := bob.Run(strings.Fields(r.args)...)
		if code != r.code {
			t.Errorf("devbox %s: exit %d, want %d\n%s", r.args, code, r.code, out)
		}
		for _, want := range r.want {
			if !strings.Contains(out, want) {
				t.Errorf("devbox %s: want %q in\n%s", r.args, want, out)
			}
		}
	}
	says(t, bob, host, "Moin World!")
}

// measure says how long an edit takes there, against go build; there is no goal.
func (c *cluster) measure(t *testing.T, bob *box.Box, dir string) {
	out, code := bob.Run("bench", "loop", "--edits", "5", "--pause", "500ms", "-o", "json", dir)
	var r loopbench.Report
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&r); code != 0 || err != nil || r.Live.Median == 0 || r.GoBuild.Median == 0 {
		t.Errorf("devbox bench loop: exit %d, %v\n%s", code, err, out)
		return
	}
	t.Logf("an edit there, by devbox bench loop: median of 5 %s, go build %s, ratio %.2f; %v",
		r.Live.Median.Round(time.Millisecond), r.GoBuild.Median.Round(time.Millisecond), r.Ratio, r.Phases)
}

// ontoAnIstio is dan, in whose cluster there is an Istio of other names, behind a
// load balancer.
func (c *cluster) ontoAnIstio(t *testing.T, layout string) {
	c.installIstio(t, layout)
	c.balance(t, address(t, nodes()[1])) // kube-proxy leads what comes to it to the gateway, as where there is a real one
	dan := box.Known(t, "dan", c.kubeconfig)
	dir := box.Project(t, "hello")
	up := dan.Up(c.asked("dan", "--install", "--pull-secret", "pull", "--port", "18385", dir)...)
	up.Wait("dan's first revision", soon, live)
	if want := "http://" + address(t, nodes()[1]); dan.Gateway != want {
		t.Errorf("dan's way in is %s, want the load balancer, %s", dan.Gateway, want)
	}
	says(t, dan, "hello.default.example.com", "Hello World!")
	if out, code := dan.Run("url", "hello"); code != 0 || !strings.HasPrefix(out, "http://hello.default.example.com\n") || !strings.Contains(out, dan.Gateway) {
		t.Errorf("dan's url: exit %d, want the service's own and the load balancer\n%s", code, out)
	}
	up.Interrupt()

	c.balance(t, "192.0.2.1") // where nobody is
	up = dan.Up(dir)
	up.Wait("to be told that the load balancer does not answer", soon, func(e event.Event) bool {
		return e.Kind == event.Warning && strings.Contains(e.Message, "the load balancer of Service front/front-door does not answer from here, so a port-forward is the way in")
	})
	up.Wait("dan's revision, by a port-forward", soon, live)
	if want := "http://127.0.0.1:18385"; dan.Gateway != want {
		t.Errorf("dan's way in is %s, want the port-forward, %s", dan.Gateway, want)
	}
	says(t, dan, "hello.default.example.com", "Hello World!")
	up.Interrupt()
	if out, code := dan.Run("rollback", "hello"); code != 6 || !strings.Contains(out, "no revision before") {
		t.Errorf("dan's rollback of a first revision: exit %d\n%s", code, out)
	}
	if out, code := dan.Run("hold", "hello"); code != 0 || !strings.Contains(out, "hello-00001 serves, until") {
		t.Errorf("dan's hold with no up that holds the way in open: exit %d\n%s", code, out)
	}
	if out, code := dan.Run("down"); code != 0 {
		t.Errorf("dan's down: exit %d\n%s", code, out)
	}
	box.Eventually(t, "the Istio alone is left", func() bool {
		left := c.installed(t)
		return len(left) > 0 && !slices.ContainsFunc(left, func(what string) bool { return strings.Contains(what, "knative") })
	})
	for at, name := range map[string]string{"mesh": "istiod", "front": "front-door"} {
		if err := rollout.Await(t.Context(), c.clients, at, name); err != nil {
			t.Errorf("after dan's down: %v", err)
		}
	}
}

// installIstio installs Istio as somebody else might, by names that are not devbox's.
func (c *cluster) installIstio(t *testing.T, layout string) {
	t.Helper()
	set, err := images.FromLayout(layout)
	if err != nil {
		t.Fatal(err)
	}
	refs := map[images.Role]string{}
	for _, role := range []images.Role{images.Pilot, images.Proxy} {
		img, err := set.Open(role)
		if err != nil {
			t.Fatal(err)
		}
		if refs[role], err = push.User(c.registry+"/public").Image(t.Context(), string(role), img); err != nil {
			t.Fatal(err)
		}
	}
	all, err := istio.Charts(istio.Options{Pilot: refs[images.Pilot], Proxy: refs[images.Proxy], UpstreamEnvoy: set.UpstreamEnvoy})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	releases, err := helm.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all[:2] {
		c.Values["global"].(map[string]any)["istioNamespace"] = "mesh"
	}
	all[2].Values["service"] = map[string]any{"type": "LoadBalancer", "ports": []any{map[string]any{"name": "http2", "port": 80, "targetPort": 80}}}
	for i, r := range []struct{ name, namespace string }{{"mesh-base", "mesh"}, {"istiod", "mesh"}, {"front-door", "front"}} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}
		if _, err := c.clients.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		if _, err := releases.Apply(t.Context(), helm.Release{Name: r.name, Namespace: r.namespace, Chart: all[i].Files, Values: all[i].Values, Adjust: all[i].Adjust}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue
		}
		if err := rollout.Await(t.Context(), c.clients, r.namespace, r.name); err != nil {
			t.Fatal(err)
		}
	}
}

// balance says that the gateway's load balancer has an address.
func (c *cluster) balance(t *testing.T, ip string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"status":{"loadBalancer":{"ingress":[{"ip":%q}]}}}`, ip)
	if _, err := c.clients.CoreV1().Services("front").Patch(t.Context(), "front-door", types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// installed are the namespaces and the groups of kinds of Knative's and Istio's.
func (c *cluster) installed(t *testing.T) []string {
	t.Helper()
	var there []string
	for _, name := range []string{"knative-serving", "istio-system"} {
		if _, err := c.clients.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			there = append(there, name)
		}
	}
	groups, err := c.clients.Discovery().ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups.Groups {
		if strings.HasSuffix(g.Name, "knative.dev") || strings.HasSuffix(g.Name, "istio.io") {
			there = append(there, g.Name)
		}
	}
	return there
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
