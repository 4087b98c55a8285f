package node

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kind-in-a-box/devbox/serving/runner"
	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m) }

// patience is how long a test waits for anything on however busy a machine.
const patience = 60 * time.Second

// world is a running node, the API server it has its pods from, and a
// namespace for them.
type world struct {
	t         *testing.T
	client    kubernetes.Interface
	namespace string
	node      string
	image     string // of testdata/app
	dir       string // of the node and its runner
	tls       *tls.Config
	stop      func()
}

func newWorld(t *testing.T) *world {
	b := bed.Start(t)
	config := b.REST()
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := image()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, client: client, namespace: b.Namespace(t), node: strings.ToLower(t.Name()), image: ref, dir: t.TempDir(), tls: credentials(t)}
	w.start()
	return w
}

// start runs the node until w.stop is called or the test ends.
func (w *world) start() {
	w.t.Helper()
	run, err := runner.New(filepath.Join(w.dir, "runner"), runner.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Name: w.node, REST: bed.Start(w.t).REST(), Runner: run, Dir: filepath.Join(w.dir, "node"), TLS: w.tls,
			Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)), Ready: func() { close(ready) },
		})
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
		if err := run.Close(); err != nil {
			w.t.Errorf("closing the runner: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
	select {
	case <-ready:
	case err := <-done:
		done <- err
		w.t.Fatalf("Run: %v", err)
	}
}

// credentials are those of a node and, here, of its client too.
func credentials(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// program builds testdata/app.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "node-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "app"), "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "app"))
})

// image pushes testdata/app to a registry of this process, and returns the
// image's reference.
var image = sync.OnceValues(func() (string, error) {
	app, err := program()
	if err != nil {
		return "", err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(app))}); err != nil {
		return "", err
	}
	if _, err := w.Write(app); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return "", err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return "", err
	}
	config := v1.Config{Entrypoint: []string{"/app"}, Cmd: []string{"serve"}, Env: []string{"FROM=image"}}
	if img, err = mutate.Config(img, config); err != nil {
		return "", err
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)))) // for all tests
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/app:1")
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, img); err != nil {
		return "", err
	}
	digest, err := img.Digest()
	return ref.Context().Name() + "@" + digest.String(), err
})

// wait returns the pod when it is as wanted; is gets nil for a pod that is no
// more.
func (w *world) wait(pod *corev1.Pod, what string, is func(*corev1.Pod) bool) *corev1.Pod {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	list := cache.NewListWatchFromClient(w.client.CoreV1().RESTClient(), "pods", pod.Namespace,
		fields.OneTermEqualSelector(metav1.ObjectNameField, pod.Name))
	gone := func(store cache.Store) (bool, error) { return len(store.List()) == 0 && is(nil), nil }
	last := pod
	_, err := watchtools.UntilWithSync(ctx, list, &corev1.Pod{}, gone, func(e watch.Event) (bool, error) {
		seen, ok := e.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		last = seen
		if e.Type == watch.Deleted {
			return is(nil), nil
		}
		return is(seen), nil
	})
	if err != nil {
		w.t.Fatalf("waiting for %s: %v\nthe pod is %+v", what, err, last.Status)
	}
	return last
}

func isReady(pod *corev1.Pod) bool {
	return pod != nil && conditionOf(pod, corev1.PodReady) == corev1.ConditionTrue
}

func isGone(pod *corev1.Pod) bool { return pod == nil }

func conditionOf(pod *corev1.Pod, of corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range pod.Status.Conditions {
		if c.Type == of {
			return c.Status
		}
	}
	return ""
}

// pod makes a pod of this spec on the node.
func (w *world) pod(spec corev1.PodSpec) *corev1.Pod {
	w.t.Helper()
	spec.NodeName = w.node
	return w.unboundPod(spec)
}

// unboundPod leaves it to the node to take the pod.
func (w *world) unboundPod(spec corev1.PodSpec) *corev1.Pod {
	w.t.Helper()
	if spec.TerminationGracePeriodSeconds == nil {
		spec.TerminationGracePeriodSeconds = new(int64(5))
	}
	for _, all := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range all {
			all[i].Image = cmp.Or(all[i].Image, w.image)
		}
	}
	pod, err := w.client.CoreV1().Pods(w.namespace).Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-", Labels: map[string]string{"label": "its-value"}}, Spec: spec,
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod
}

// delete deletes the pod, with the grace of its spec unless another is given.
func (w *world) delete(pod *corev1.Pod, grace *int64) {
	w.t.Helper()
	err := w.client.CoreV1().Pods(pod.Namespace).Delete(w.t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: grace})
	if err != nil {
		w.t.Fatal(err)
	}
}

// event returns the words of the first event with this reason about the pod.
func (w *world) event(pod *corev1.Pod, reason string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	list := cache.NewListWatchFromClient(w.client.CoreV1().RESTClient(), "events", pod.Namespace,
		fields.Set{"involvedObject.name": pod.Name, "reason": reason}.AsSelector())
	var words string
	_, err := watchtools.UntilWithSync(ctx, list, &corev1.Event{}, nil, func(e watch.Event) (bool, error) {
		if seen, ok := e.Object.(*corev1.Event); ok {
			words = seen.Message
		}
		return words != "", nil
	})
	if err != nil {
		w.t.Fatalf("waiting for an event %s: %v", reason, err)
	}
	return words
}

// serving is a container that listens on its user-port.
func serving(name string) corev1.Container {
	return corev1.Container{
		Name:  name,
		Ports: []corev1.ContainerPort{{Name: "user-port", ContainerPort: 8080}},
		Env:   []corev1.EnvVar{{Name: "PORT", Value: "8080"}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/healthz", Port: intstr.FromString("user-port"),
		}}},
	}
}

// ask asks container of pod, which has a user-port. Where it listens, only
// its environment and its log say.
func (w *world) ask(pod *corev1.Pod, container, path string) string {
	w.t.Helper()
	var port string
	for port == "" {
		_, after, _ := strings.Cut(w.logs(pod, container, "follow=true&limitBytes=18"), "listening on ")
		port = strings.TrimSpace(after)
	}
	return get(w.t, "http://"+net.JoinHostPort(pod.Status.PodIP, port)+path)
}

// logs asks the node's endpoint for a log, as the API server does.
func (w *world) logs(pod *corev1.Pod, container, query string) string {
	w.t.Helper()
	response := w.endpoint(fmt.Sprintf("/containerLogs/%s/%s/%s?%s", pod.Namespace, pod.Name, container, query))
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// endpoint asks the node's endpoint.
func (w *world) endpoint(path string) *http.Response {
	w.t.Helper()
	node, err := w.client.CoreV1().Nodes().Get(w.t.Context(), w.node, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: w.tls, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet,
		fmt.Sprintf("https://127.0.0.1:%d%s", node.Status.DaemonEndpoints.KubeletEndpoint.Port, path), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	return response
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
