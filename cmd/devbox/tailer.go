package main

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
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// tailer prints the logs of all pods that a selector finds, each line with
// where it comes from:
//
//	hello-00002/x7k2p | listening on port 8080
//
// Following, it learns of pods from a watch and reads each container it has
// not read before, also one that was restarted, until the context ends.
type tailer struct {
	client   kubernetes.Interface
	selector string
	queue    bool // queue-proxy too
	follow   bool
	tail     *int64 // last lines of each container; nil is all

	mu  sync.Mutex // keeps lines whole
	out io.Writer
}

// life is one life of one container.
type life struct {
	namespace, pod, container string
	id                        string // differs after a restart
	prefix                    string
}

func (t *tailer) run(ctx context.Context) error {
	if t.follow {
		return t.followPods(ctx)
	}
	pods, err := t.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: t.selector})
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

// followPods starts a reader for every container as it starts, and waits for
// all of them when ctx ends.
func (t *tailer) followPods(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(t.client, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = t.selector }))
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
func (t *tailer) lives(pod *corev1.Pod) []life {
	var found []life
	for _, status := range pod.Status.ContainerStatuses {
		if status.ContainerID == "" || status.Name == servingv1.QueueContainer && !t.queue {
			continue
		}
		if status.State.Running == nil && status.State.Terminated == nil && status.LastTerminationState.Terminated == nil {
			continue // it has not started yet
		}
		found = append(found, life{
			namespace: pod.Namespace, pod: pod.Name, container: status.Name,
			id: status.ContainerID, prefix: t.prefix(pod, status.Name),
		})
	}
	return found
}

// prefix names a container in few columns: the revision and the part of the
// pod's name that tells it from its brothers.
func (t *tailer) prefix(pod *corev1.Pod, container string) string {
	prefix := pod.Name
	if revision := pod.Labels[servingv1.RevisionLabel]; revision != "" {
		prefix = revision + "/" + pod.Name[strings.LastIndex(pod.Name, "-")+1:]
	}
	if t.queue {
		prefix += " " + container
	}
	return prefix
}

// print copies one container's log, line by line.
func (t *tailer) print(ctx context.Context, s life) error {
	stream, err := t.client.CoreV1().Pods(s.namespace).GetLogs(s.pod, &corev1.PodLogOptions{
		Container: s.container, Follow: t.follow, TailLines: t.tail,
	}).Stream(ctx)
	if apierrors.IsNotFound(err) {
		return nil // the pod has gone, and its log with it
	}
	if err != nil {
		return fmt.Errorf("reading the log of %s: %w", s.pod, err)
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
			return fmt.Errorf("reading the log of %s: %w", s.pod, err)
		}
	}
}

func (t *tailer) line(s life, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Whoever read the lines has gone when this fails, and the context ends.
	_, _ = fmt.Fprintf(t.out, "%s | %s\n", s.prefix, text)
}
