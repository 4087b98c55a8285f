// Package standin stands in for a box where the watcher is tested: on a real
// API server it does what the controller, the node and the gateway do, in the
// simplest way that shows the watcher everything it looks at.
//
//	Service --> Revision, Pod --> the images are pulled, their programs run once
//	                                |                         |
//	                     exit 0: ready, the gateway      else: the pod has
//	                     answers with what they printed  crashed, nothing moves,
//	                                                     and they are run once more
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
	"github.com/kind-in-a-box/devbox/watcher/deploy"
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
	said map[string]string // what the programs of ready revisions have printed, by namespace and name
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
	b := &Box{Client: c, t: t, live: map[string]answer{}, said: map[string]string{}}
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

// reconcile makes a revision of a Service's generation, if that has another
// template, and sends the traffic where the Service says.
func (b *Box) reconcile(ctx context.Context, s *servingv1.Service) error {
	var now servingv1.Service
	if err := b.Client.Get(ctx, client.ObjectKeyFromObject(s), &now); err != nil {
		return client.IgnoreNotFound(err)
	}
	if now.Status.ObservedGeneration == now.Generation {
		return nil
	}
	if same, err := b.hasTemplate(ctx, &now); err != nil || same {
		b.route(&now)
		return errors.Join(err, b.note(ctx, &now, func(s *servingv1.ServiceStatus) { s.ObservedGeneration = now.Generation }))
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
	generation := now.Generation
	if err := b.note(ctx, &now, func(s *servingv1.ServiceStatus) {
		s.InitializeConditions()
		s.ObservedGeneration, s.LatestCreatedRevisionName = generation, rev.Name
	}); err != nil {
		return err
	}
	return b.run(ctx, &now, rev)
}

// run is the node: it runs the programs, and once more where they have crashed
// and there is time left, and writes down how that ended.
func (b *Box) run(ctx context.Context, s *servingv1.Service, rev *servingv1.Revision) error {
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
	late := rev.Annotations[servingv1.ProgressDeadlineAnnotation] != ""
	for range 2 {
		output, code, err := b.start(ctx, rev)
		if err != nil {
			return err
		}
		if err := b.ended(ctx, rev, pod, code, output, late); err != nil {
			return ignoreDeleted(err)
		}
		if code == 0 {
			return ignoreDeleted(b.ready(ctx, s, rev, output))
		}
		if late {
			break
		}
	}
	return nil
}

// ignoreDeleted is nil where somebody has deleted the object meanwhile: an API
// server says that it is not there, or that it is not the one that was meant.
func ignoreDeleted(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// start runs all programs of a revision, one after the other.
func (b *Box) start(ctx context.Context, rev *servingv1.Revision) (output string, code int32, err error) {
	for _, c := range slices.Concat(rev.Spec.InitContainers, rev.Spec.Containers) {
		printed, exit, err := b.execute(ctx, c)
		if err != nil {
			return "", 0, err
		}
		output, code = output+printed, max(code, exit)
	}
	return output, code, nil
}

// ended writes down how the programs of a revision ended; one that is late has no
// other try.
func (b *Box) ended(ctx context.Context, rev *servingv1.Revision, pod *corev1.Pod, code int32, output string, late bool) error {
	rev.Status.InitializeConditions()
	rev.Status.ObservedGeneration = rev.Generation
	state := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: firstLine(output)}}
	if code == 0 {
		state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		rev.Status.MarkContainerHealthyTrue()
		rev.Status.MarkResourcesAvailableTrue()
	} else if late {
		rev.Status.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, "it crashed, and its time is up")
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: servingv1.UserContainer, State: state}}
	if err := b.Client.Status().Update(ctx, pod); err != nil {
		return fmt.Errorf("updating a pod: %w", err)
	}
	if err := b.Client.Status().Update(ctx, rev); err != nil {
		return fmt.Errorf("updating a revision: %w", err)
	}
	return nil
}

// ready makes a revision the Service's latest ready one.
func (b *Box) ready(ctx context.Context, s *servingv1.Service, rev *servingv1.Revision, output string) error {
	b.mu.Lock()
	b.said[rev.Namespace+"/"+rev.Name] = output
	b.mu.Unlock()
	if err := b.note(ctx, s, func(s *servingv1.ServiceStatus) { s.LatestReadyRevisionName = rev.Name }); err != nil {
		return err
	}
	b.route(s)
	return nil
}

// note changes a Service's status, whoever has changed the Service meanwhile, and
// s is what it is then.
func (b *Box) note(ctx context.Context, s *servingv1.Service, change func(*servingv1.ServiceStatus)) error {
	before := s.DeepCopy()
	change(&s.Status)
	if err := b.Client.Status().Patch(ctx, s, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("updating a service: %w", err)
	}
	return nil
}

// hasTemplate says whether the newest revision of a Service is of its template.
func (b *Box) hasTemplate(ctx context.Context, s *servingv1.Service) (bool, error) {
	if s.Status.LatestCreatedRevisionName == "" {
		return false, nil
	}
	var rev servingv1.Revision
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Status.LatestCreatedRevisionName}, &rev)
	return err == nil && rev.Annotations[deploy.TemplateAnnotation] == s.Spec.Template.Annotations[deploy.TemplateAnnotation], client.IgnoreNotFound(err)
}

// route has the gateway use the revision that gets all of a Service's traffic.
func (b *Box) route(s *servingv1.Service) {
	name := s.Status.LatestReadyRevisionName
	for _, t := range s.Spec.Traffic {
		if t.RevisionName != "" && t.Percent != nil && *t.Percent == 100 {
			name = t.RevisionName
		}
	}
	b.mu.Lock()
	said, ready := b.said[s.Namespace+"/"+name]
	b.mu.Unlock()
	if ready {
		b.Switch(s.Namespace, s.Name, name, said)
	}
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
