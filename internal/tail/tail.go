// Package tail reads the logs of a service's pods, through all its revisions,
// also of pods that come later.
//
//	pods by label --> a reader for each life of a container --> Tell, a line at a time
package tail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Tailer reads the logs of all pods that a selector finds. Following, it
// learns of pods from a watch and reads each container it has not read before,
// also one that was restarted, until the context ends.
type Tailer struct {
	Client    kubernetes.Interface
	Namespace string // all of them where it is empty
	Selector  string
	Pod       string     // one pod by its name, where it is not empty
	Queue     bool       // queue-proxy too
	Follow    bool       // until the context ends
	Last      *int64     // lines of each container to begin with; nil is all
	Tell      func(Line) // never called twice at a time

	mu sync.Mutex
}

// Line is what a container has written up to the end of a line.
type Line struct {
	Namespace, Service, Revision string
	Pod, Container               string
	Text                         string
}

// From names a line's container in few columns: the revision and the part of
// the pod's name that tells it from its brothers; with the container's own name
// where there are several.
func (l Line) From(containers bool) string {
	from := l.Pod
	if l.Revision != "" {
		from = l.Revision + "/" + l.Pod[strings.LastIndex(l.Pod, "-")+1:]
	}
	if containers {
		from += " " + l.Container
	}
	return from
}

// life is one life of one container.
type life struct {
	Line
	id string // differs after a restart
}

// Run reads until there is no more, or the context ends.
func (t *Tailer) Run(ctx context.Context) error {
	if t.Follow {
		return t.followPods(ctx)
	}
	options := metav1.ListOptions{}
	t.choose(&options)
	pods, err := t.Client.CoreV1().Pods(t.Namespace).List(ctx, options)
	if err != nil {
		return fmt.Errorf("listing the pods: %w", err)
	}
	slices.SortStableFunc(pods.Items, func(a, b corev1.Pod) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	for _, pod := range pods.Items {
		for _, s := range t.lives(&pod) {
			if err := t.print(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose narrows a list of pods to the tailer's.
func (t *Tailer) choose(o *metav1.ListOptions) {
	o.LabelSelector = t.Selector
	if t.Pod != "" {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", t.Pod).String()
	}
}

// followPods starts a reader for every container as it starts, and waits for
// all of them when ctx ends.
func (t *Tailer) followPods(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(t.Client, 0,
		informers.WithNamespace(t.Namespace), informers.WithTweakListOptions(t.choose))
	pods := factory.Core().V1().Pods().Informer()

	var readers sync.WaitGroup
	read := map[string]bool{} // by container id; the informer calls one handler at a time
	see := func(object any) {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return
		}
		for _, s := range t.lives(pod) {
			if read[s.id] {
				continue
			}
			read[s.id] = true
			readers.Go(func() {
				if err := t.print(ctx, s); err != nil && ctx.Err() == nil {
					t.line(s, "("+err.Error()+")")
				}
			})
		}
	}
	if _, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    see,
		UpdateFunc: func(_, object any) { see(object) },
	}); err != nil {
		return fmt.Errorf("watching the pods: %w", err)
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	readers.Wait()
	return ctx.Err()
}

// lives are the containers of pod that have something to read.
func (t *Tailer) lives(pod *corev1.Pod) []life {
	var found []life
	for _, status := range pod.Status.ContainerStatuses {
		if status.ContainerID == "" || status.Name == servingv1.QueueContainer && !t.Queue {
			continue
		}
		if status.State.Running == nil && status.State.Terminated == nil && status.LastTerminationState.Terminated == nil {
			continue // it has not started yet
		}
		found = append(found, life{id: status.ContainerID, Line: Line{
			Namespace: pod.Namespace, Service: pod.Labels[servingv1.ServiceLabel], Revision: pod.Labels[servingv1.RevisionLabel],
			Pod: pod.Name, Container: status.Name,
		}})
	}
	return found
}

// print copies one container's log, line by line.
func (t *Tailer) print(ctx context.Context, s life) error {
	stream, err := t.Client.CoreV1().Pods(s.Namespace).GetLogs(s.Pod, &corev1.PodLogOptions{
		Container: s.Container, Follow: t.Follow, TailLines: t.Last,
	}).Stream(ctx)
	if apierrors.IsNotFound(err) {
		return nil // the pod has gone, and its log with it
	}
	if err != nil {
		return fmt.Errorf("reading the log of %s: %w", s.Pod, err)
	}
	defer stream.Close()
	for lines := bufio.NewReader(stream); ; {
		line, err := lines.ReadString('\n')
		if line != "" {
			t.line(s, strings.TrimSuffix(line, "\n"))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the log of %s: %w", s.Pod, err)
		}
	}
}

func (t *Tailer) line(s life, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := s.Line
	line.Text = text
	t.Tell(line)
}
