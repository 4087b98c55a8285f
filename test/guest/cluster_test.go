//go:build e2e

package guest

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

// clusterName is what kind calls the cluster.
const clusterName = "devbox-guest"

// cluster is a kind cluster of two nodes, which kind made and not devbox.
type cluster struct {
	kubeconfig string
	context    string
	registry   string // HOST:PORT, by which this machine and both nodes know it
	clients    *kubernetes.Clientset
}

// podNetwork is that of a node of the lab's image, which is made for one node.
const podNetwork = "10.244.%d.0/24"

func newCluster(t *testing.T, layout string) *cluster {
	t.Helper()
	set, err := images.FromLayout(layout)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.ProvideNode(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &cluster{kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), context: "kind-" + clusterName}
	provider := kind.NewProvider(kind.ProviderWithDocker())
	t.Cleanup(func() {
		if err := provider.Delete(clusterName, c.kubeconfig); err != nil {
			t.Errorf("deleting the cluster: %v", err)
		}
	})
	if err := provider.Create(clusterName, kind.CreateWithV1Alpha4Config(config(set)), kind.CreateWithKubeconfigPath(c.kubeconfig)); err != nil {
		t.Fatal(err)
	}
	c.connect(t)
	c.serveImages(t)
	rest, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if c.clients, err = kubernetes.NewForConfig(rest); err != nil {
		t.Fatal(err)
	}
	c.untaint(t)
	return c
}

// untaint lets the control plane take pods.
func (c *cluster) untaint(t *testing.T) {
	t.Helper()
	patch := []byte(`{"spec":{"taints":null}}`)
	if _, err := c.clients.CoreV1().Nodes().Patch(t.Context(), nodes()[0], types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// config is a control plane and a worker.
func config(set images.Set) *v1alpha4.Cluster {
	const patch = "kind: KubeletConfiguration\nfailCgroupV1: false\nfeatureGates: {KubeletInUserNamespace: true}\n"
	node := func(role v1alpha4.NodeRole) v1alpha4.Node {
		return v1alpha4.Node{Role: role, Image: set.Ref(images.Node)}
	}
	return &v1alpha4.Cluster{
		TypeMeta:             v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:                 clusterName,
		Networking:           v1alpha4.Networking{DisableDefaultCNI: set.BuiltinCNI},
		KubeadmConfigPatches: []string{patch},
		Nodes:                []v1alpha4.Node{node(v1alpha4.ControlPlaneRole), node(v1alpha4.WorkerRole)},
	}
}

func nodes() []string { return []string{clusterName + "-control-plane", clusterName + "-worker"} }

// connect gives each node a network for its pods, and the way to the other's.
func (c *cluster) connect(t *testing.T) {
	t.Helper()
	for i, node := range nodes() {
		mine, other := fmt.Sprintf(podNetwork, i), fmt.Sprintf(podNetwork, 1-i)
		inside(t, node, fmt.Sprintf("sed -i s#%s#%s# /etc/cni/net.d/10-box.conflist && ip route replace %s via %s", fmt.Sprintf(podNetwork, 0), mine, other, address(t, nodes()[1-i])))
	}
}

// password is the one of everybody who may push to the registry, and pull.
const user, password = "team", "secret"

// private asks for the password, but to pull what is in public/.
func private(images http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, given, _ := r.BasicAuth()
		known := name == user && given == password
		public := strings.HasPrefix(r.URL.Path, "/v2/public/") && (r.Method == http.MethodGet || r.Method == http.MethodHead)
		if !known && !public {
			w.Header().Set("WWW-Authenticate", `Basic realm="team"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	})
}

// credentials are a docker configuration that knows the password.
func (c *cluster) credentials() []byte {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, c.registry, auth)
}

// serveImages runs a registry on this machine, at its address in the nodes'
// network, and tells the nodes that it speaks plain HTTP.
func (c *cluster) serveImages(t *testing.T) {
	t.Helper()
	gateway := docker(t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", nodes()[0])
	l, err := net.Listen("tcp", gateway+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: private(registry.New(registry.Logger(log.New(io.Discard, "", 0)))), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	c.registry = l.Addr().String()
	for _, node := range nodes() {
		inside(t, node, fmt.Sprintf(`mkdir -p /etc/containerd/certs.d/%[1]s && printf '[host."http://%[1]s"]\n' >/etc/containerd/certs.d/%[1]s/hosts.toml`, c.registry))
	}
}

func address(t *testing.T, node string) string {
	t.Helper()
	return docker(t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", node)
}

func inside(t *testing.T, node, script string) {
	t.Helper()
	docker(t, "exec", node, "sh", "-ec", script)
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
