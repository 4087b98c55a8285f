// Package bed gives tests a real Kubernetes API server, with the kinds of the
// serving stack installed. It runs beside the test, as a process that ends
// with it: see test/bed/server.
//
//	func TestMain(m *testing.M) { bed.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		b := bed.Start(t)
//		namespace := b.Namespace(t)
//		err := b.Client().Create(t.Context(), ...)
//	}
//
// A test binary has one server, started by the first test that asks for it;
// a test has a namespace of its own. Owned objects and namespaces are deleted
// as in a cluster; nothing runs a Pod, so a test writes its status.
package bed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/charts"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
)

// startTimeout bounds the installing of kinds, on however busy a machine.
const startTimeout = 2 * time.Minute

// Bed is the API server of this test binary.
type Bed struct {
	config     *rest.Config
	kubeconfig string
	client     client.Client
}

// the is this process' Bed. Main ends it.
var the struct {
	mu    sync.Mutex
	main  bool // there is a Main to end it
	bare  bool // of MainBare
	dir   string
	stdin io.Closer // which keeps the server running
	cmd   *exec.Cmd
	bed   *Bed
	fail  error // why it does not start; it is not tried again
}

// Main runs the tests of m and then stops the server, if one was started.
// TestMain calls it.
func Main(m *testing.M) {
	the.main = true
	m.Run() // which keeps the exit code for when TestMain returns
	the.mu.Lock()
	defer the.mu.Unlock()
	if the.cmd != nil {
		_ = the.stdin.Close()
		_ = the.cmd.Wait() // the tests have passed or failed already
	}
	_ = os.RemoveAll(the.dir)
}

// MainBare is Main where the server is as a cluster's that nobody has put anything
// into: users have the rights that RBAC gives them, there are the kinds of
// workloads, and none of the serving stack's.
func MainBare(m *testing.M) {
	the.bare = true
	Main(m)
}

// Start returns the Bed, and starts it when it is the first to ask.
func Start(t testing.TB) *Bed {
	t.Helper()
	the.mu.Lock()
	defer the.mu.Unlock()
	if !the.main {
		t.Fatal("no bed without bed.Main: add func TestMain(m *testing.M) { bed.Main(m) }")
	}
	if the.bed == nil && the.fail == nil {
		began := time.Now()
		the.bed, the.fail = start()
		t.Logf("the API server was ready after %v", time.Since(began).Round(time.Millisecond))
	}
	if the.fail != nil {
		t.Fatalf("starting the test bed: %v", the.fail)
	}
	return the.bed
}

func start() (*Bed, error) {
	kubeconfig, err := launch()
	if err != nil {
		return nil, fmt.Errorf("starting the API server: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if the.bare {
		return &Bed{config, kubeconfig, c}, nil
	}
	crds, err := charts.CRDs()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return &Bed{config, kubeconfig, c}, install(ctx, c, crds)
}

// build makes the server's program and returns its path. The go command does
// so for one test binary at a time, which takes minutes the first time, and
// finds it up to date after that.
func build() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "devbox", "bed")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	program := filepath.Join(dir, "server")
	cmd := exec.Command("go", "build", "-o", program, "github.com/kind-in-a-box/devbox/test/bed/server")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // also where the test has the race detector
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the API server: %w\n%s", err, out)
	}
	return program, nil
}

// launch starts the server's process and returns the path of its kubeconfig
// once it is ready.
func launch() (string, error) {
	program, err := build()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "devbox-bed-")
	if err != nil {
		return "", err
	}
	the.dir = dir
	cmd := exec.Command(program, dir)
	if the.bare {
		cmd.Args = append(cmd.Args, "cluster")
	}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	the.cmd, the.stdin = cmd, stdin
	kubeconfig, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s ended before it was ready: %w", cmd, err)
	}
	return strings.TrimSpace(kubeconfig), nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, servingv1.AddToScheme, servingv1beta1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("making a scheme: %w", err)
		}
	}
	return scheme, nil
}

// REST is how an administrator talks to the server.
func (b *Bed) REST() *rest.Config { return rest.CopyConfig(b.config) }

// Client reads and writes without a cache. It knows Kubernetes' own kinds,
// CustomResourceDefinitions and those of the serving stack.
func (b *Bed) Client() client.Client { return b.client }

// Scheme is the scheme of Client.
func (b *Bed) Scheme() *runtime.Scheme { return b.client.Scheme() }

// Kubeconfig is the path of a file for kubectl, for a look into a test that
// is being debugged.
func (b *Bed) Kubeconfig() string { return b.kubeconfig }

// Namespace makes a namespace for t and deletes it when t ends, without
// waiting for what is in it. A manager under test should watch only this one.
func (b *Bed) Namespace(t testing.TB) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: label(t.Name()) + "-"}}
	if err := b.client.Create(t.Context(), namespace); err != nil {
		t.Fatalf("making a namespace: %v", err)
	}
	t.Cleanup(func() {
		// t's own context has ended already.
		if err := b.client.Delete(context.WithoutCancel(t.Context()), namespace); err != nil {
			t.Errorf("deleting the namespace: %v", err)
		}
	})
	return namespace.Name
}

// label makes a test's name one that a namespace may have.
func label(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	return strings.Trim(name[:min(len(name), 50)], "-")
}

// Install adds kinds to the server for all tests and returns when they are
// served. Kinds that are there already are left as they are.
func (b *Bed) Install(t testing.TB, crds ...*apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := install(ctx, b.client, crds); err != nil {
		t.Fatal(err)
	}
}

// install creates crds and waits until each of their versions can be listed.
func install(ctx context.Context, c client.Client, crds []*apiextensionsv1.CustomResourceDefinition) error {
	for _, crd := range crds {
		if err := c.Create(ctx, crd.DeepCopy()); client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("installing %s: %w", crd.Name, err)
		}
	}
	for _, crd := range crds {
		// Whoever asks for a kind before it is established is told to come
		// back in a second.
		if err := poll(ctx, func() error { return established(ctx, c, crd.Name) }); err != nil {
			return fmt.Errorf("waiting for %s: %w", crd.Name, err)
		}
	}
	for _, crd := range crds {
		for _, version := range crd.Spec.Versions {
			list := &metav1.PartialObjectMetadataList{}
			list.APIVersion = crd.Spec.Group + "/" + version.Name
			list.Kind = crd.Spec.Names.Kind + "List"
			if err := poll(ctx, func() error { return c.List(ctx, list) }); err != nil {
				return fmt.Errorf("waiting for %s: %w", crd.Name, err)
			}
		}
	}
	return nil
}

// established is nil when the API server has taken the kind called name.
func established(ctx context.Context, c client.Client, name string) error {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := c.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
		return err
	}
	for _, condition := range crd.Status.Conditions {
		if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
			return nil
		}
	}
	return errors.New("not established")
}

// poll asks until there is no error, and returns the last one when ctx ends.
func poll(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
