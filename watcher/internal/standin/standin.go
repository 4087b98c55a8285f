// Package standin stands in for a box where the watcher is tested: on a real
// API server it does what the controller, the node and the gateway do, in the
// simplest way that shows the watcher everything it looks at.
//
//	Service --> Revision, Pod --> the images are pulled, their programs run once
//	                                |                         |
//	                     exit 0: ready, the gateway      else: the pod has
//	                     answers with what they printed  crashed, nothing moves
//
// A revision that has a progress deadline is past it as soon as it has crashed.
package standin

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Domain is the domain of the box's services.
const Domain = "example.com"

// Box is a running stand-in.
type Box struct {
	Client client.WithWatch
	URL    string // of the gateway

	t    testing.TB
	mu   sync.Mutex
	live map[string]answer // by host
}

type answer struct{ revision, body string }

// Start runs a stand-in in one namespace until the test ends.
func Start(t testing.TB, config *rest.Config, namespace string) *Box {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(servingv1.AddToScheme(scheme), clientgoscheme.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	b := &Box{Client: c, t: t, live: map[string]answer{}}
	gateway := httptest.NewServer(b)
	b.URL = gateway.URL

	ctx, cancel := context.WithCancel(context.Background())
	services, err := c.Watch(ctx, &servingv1.ServiceList{}, client.InNamespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range services.ResultChan() {
			if s, ok := e.Object.(*servingv1.Service); ok {
				if err := b.reconcile(ctx, s); err != nil && ctx.Err() == nil {
					t.Errorf("standing in for %s: %v", s.Name, err)
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		services.Stop()
		<-done
		gateway.Close()
	})
	return b
}

// ServeHTTP is the gateway, and the activator behind it.
func (b *Box) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	a, ok := b.live[r.Host]
	b.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Knative-Serving-Revision", a.revision)
	_, _ = io.WriteString(w, a.body) // it fails when the client has gone
}

// Answer is what a service answers now, or nothing.
func (b *Box) Answer(namespace, service string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live[servingv1.PublicHost("", service, namespace, Domain)].body
}

// Switch makes the gateway use a revision.
func (b *Box) Switch(namespace, service, revision, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live[servingv1.PublicHost("", service, namespace, Domain)] = answer{revision, body}
}

// reconcile makes a revision of a Service's generation, if it has none yet.
func (b *Box) reconcile(ctx context.Context, s *servingv1.Service) error {
	var now servingv1.Service
	if err := b.Client.Get(ctx, client.ObjectKeyFromObject(s), &now); err != nil {
		return client.IgnoreNotFound(err)
	}
	if now.Status.ObservedGeneration == now.Generation {
		return nil
	}
	rev := &servingv1.Revision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: now.Namespace, Name: servingv1.RevisionName(now.Name, now.Generation),
			Annotations: now.Spec.Template.Annotations, Labels: map[string]string{servingv1.ServiceLabel: now.Name},
		},
		Spec: now.Spec.Template.Spec,
	}
	rev.Spec.Containers[0].Name = servingv1.UserContainer
	if err := b.Client.Create(ctx, rev); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating a revision: %w", err)
	}
	now.Status.InitializeConditions()
	now.Status.ObservedGeneration = now.Generation
	now.Status.LatestCreatedRevisionName = rev.Name
	if err := b.Client.Status().Update(ctx, &now); err != nil {
		return fmt.Errorf("updating a service: %w", err)
	}
	return b.run(ctx, &now, rev)
}

// run is the node: it runs the programs once and writes down how that ended.
func (b *Box) run(ctx context.Context, s *servingv1.Service, rev *servingv1.Revision) error {
	var output string
	var code int32
	for _, c := range slices.Concat(rev.Spec.InitContainers, rev.Spec.Containers) {
		printed, exit, err := b.execute(ctx, c)
		if err != nil {
			return err
		}
		output, code = output+printed, max(code, exit)
	}
	rev.Status.InitializeConditions()
	state := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: firstLine(output)}}
	if code == 0 {
		state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		rev.Status.MarkContainerHealthyTrue()
		rev.Status.MarkResourcesAvailableTrue()
	} else if rev.Annotations[servingv1.ProgressDeadlineAnnotation] != "" {
		rev.Status.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, "it crashed, and its time is up")
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: rev.Namespace, GenerateName: servingv1.PodPrefix(rev.Name),
			Labels: map[string]string{servingv1.RevisionLabel: rev.Name, servingv1.ServiceLabel: s.Name},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: servingv1.UserContainer, Image: rev.Spec.Containers[0].Image}}},
	}
	if err := b.Client.Create(ctx, pod); err != nil {
		return fmt.Errorf("creating a pod: %w", err)
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: servingv1.UserContainer, State: state}}
	if err := b.Client.Status().Update(ctx, pod); err != nil {
		return fmt.Errorf("updating a pod: %w", err)
	}
	if err := b.Client.Status().Update(ctx, rev); err != nil {
		return fmt.Errorf("updating a revision: %w", err)
	}
	if code == 0 {
		b.Switch(s.Namespace, s.Name, rev.Name, output)
	}
	return nil
}

// execute pulls a container's image and runs what it starts with.
func (b *Box) execute(ctx context.Context, c servingv1.Container) (output string, code int32, err error) {
	ref, err := name.ParseReference(c.Image, name.Insecure)
	if err != nil {
		return "", 0, err
	}
	img, err := remote.Image(ref, remote.WithContext(ctx))
	if err != nil {
		return "", 0, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return "", 0, err
	}
	files := mutate.Extract(img)
	defer files.Close()
	program := filepath.Join(b.t.TempDir(), "program")
	if err := extract(files, strings.TrimPrefix(cfg.Config.Entrypoint[0], "/"), program); err != nil {
		return "", 0, err
	}
	env := []string{"PORT=" + strconv.Itoa(int(c.UserPort()))}
	for _, e := range c.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	for {
		cmd := exec.CommandContext(ctx, program)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case errors.Is(err, syscall.ETXTBSY):
			continue // a compiler that was forked meanwhile has the file open until it executes
		case err != nil && !errors.As(err, &exit):
			return "", 0, err
		}
		return string(out), int32(cmd.ProcessState.ExitCode()), nil //nolint:gosec // exit codes are small
	}
}

// extract writes one file of a tarball.
func extract(tarball io.Reader, file, to string) error {
	for r := tar.NewReader(tarball); ; {
		h, err := r.Next()
		if err != nil {
			return fmt.Errorf("looking for %s: %w", file, err)
		}
		if strings.TrimPrefix(h.Name, "/") != file {
			continue
		}
		var content bytes.Buffer
		if _, err := io.Copy(&content, r); err != nil {
			return err
		}
		return os.WriteFile(to, content.Bytes(), 0o755)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
