package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/rollout"
	"github.com/kind-in-a-box/devbox/charts/istio"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// What config-mesh may say of how requests come to the activator.
const (
	inTheClear = "off"
	permissive = "permissive"
	strict     = "strict"
)

// Istio's words, and ours.
const (
	injectionLabel = "istio-injection"         // of a namespace whose pods are to have a sidecar
	injectKey      = "sidecar.istio.io/inject" // of a pod that says so itself
	sidecarLabel   = "security.istio.io/tlsMode"
	sidecarName    = "istio-proxy"

	ledAnnotation     = "devbox.dev/mesh"    // of a namespace that devbox has led into the mesh
	gatewayAnnotation = "devbox.dev/gateway" // of config-mesh, while the gateway uses TLS
)

// ours is the label of what devbox made in a cluster without a chart.
const (
	oursKey   = "app.kubernetes.io/managed-by"
	oursValue = "devbox"
)

var (
	peerAuthentications = schema.GroupVersionResource{Group: "security.istio.io", Version: "v1", Resource: "peerauthentications"}
	services            = servingv1.GroupVersion.WithResource("services")
)

// mtls is what config-mesh says when the serving stack is installed. A box that
// is on its way takes both.
func (u *up) mtls() string {
	switch {
	case u.mesh && u.box.Mesh:
		return strict
	case u.mesh || u.box.Mesh:
		return permissive
	}
	return inTheClear
}

// lead leads the services' pods into the mesh, or out of it. Each step waits
// until those who send know what those who take have come to, so that no
// request is lost on the way:
//
//	in   both are taken | namespaces are labelled, the controller exchanges
//	     their pods     | what is in the clear is refused
//	out  the same, backwards
//
// PERMISSIVE and STRICT are said of all sidecars by a PeerAuthentication, and
// of the activator, which has none, by config-mesh.
func (u *up) lead(ctx context.Context, say func(string)) (string, error) {
	config, err := u.box.RESTConfig()
	if err != nil {
		return "", err
	}
	if u.objects, err = dynamic.NewForConfig(config); err != nil {
		return "", fmt.Errorf("reaching the box: %w", err)
	}
	if err := u.helm.AwaitKinds(ctx, peerAuthentications); err != nil {
		return "", err
	}
	if u.mesh {
		return u.leadIn(ctx, say)
	}
	return u.leadOut(ctx, say)
}

func (u *up) leadIn(ctx context.Context, say func(string)) (string, error) {
	was := u.box.Mesh
	u.box.Mesh = true // what is begun is known to the next up
	if err := u.box.Save(); err != nil {
		return "", err
	}
	if !was {
		if err := u.peers(ctx, "PERMISSIVE"); err != nil {
			return "", err
		}
	}
	names, err := u.label(ctx)
	if err != nil {
		return "", err
	}
	say("waiting until the pods in " + strings.Join(names, ", ") + " have sidecars")
	if err := u.awaitPods(ctx, names, true); err != nil {
		return "", err
	}
	say("refusing what is not mutual TLS")
	if err := u.peers(ctx, "STRICT"); err != nil {
		return "", err
	}
	if err := u.awaitGateway(ctx, strict); err != nil {
		return "", err
	}
	return "mutual TLS, STRICT, in " + strings.Join(names, ", "), nil
}

func (u *up) leadOut(ctx context.Context, say func(string)) (string, error) {
	if err := u.peers(ctx, "PERMISSIVE"); err != nil {
		return "", err
	}
	names, err := u.unlabel(ctx)
	if err != nil {
		return "", err
	}
	say("waiting until no pod has a sidecar")
	if err := u.awaitPods(ctx, names, false); err != nil {
		return "", err
	}
	if err := u.awaitGateway(ctx, inTheClear); err != nil {
		return "", err
	}
	err = u.objects.Resource(peerAuthentications).Namespace(istio.Namespace).Delete(ctx, "default", metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("deleting PeerAuthentication %s/default: %w", istio.Namespace, err)
	}
	u.box.Mesh = false
	return "services' pods have no sidecars", u.box.Save()
}

// peers says what sidecars are to take.
func (u *up) peers(ctx context.Context, mode string) error {
	all := u.objects.Resource(peerAuthentications).Namespace(istio.Namespace)
	there, err := all.Get(ctx, "default", metav1.GetOptions{})
	if err == nil && there.GetLabels()[oursKey] != oursValue {
		return &bootstrap.ClusterError{
			Step: bootstrap.Mesh,
			Err:  fmt.Errorf("PeerAuthentication %s/default is there, and devbox did not make it", istio.Namespace),
			Hint: "remove it: devbox says for the whole mesh what is taken, PERMISSIVE on the way and STRICT after it",
		}
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading PeerAuthentication %s/default: %w", istio.Namespace, err)
	}
	_, err = all.Apply(ctx, "default", &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": peerAuthentications.GroupVersion().String(), "kind": "PeerAuthentication",
		"metadata": map[string]any{"name": "default", "labels": map[string]any{oursKey: oursValue}},
		"spec":     map[string]any{"mtls": map[string]any{"mode": mode}},
	}}, metav1.ApplyOptions{FieldManager: oursValue, Force: true})
	if err != nil {
		return fmt.Errorf("applying PeerAuthentication %s/default: %w", istio.Namespace, err)
	}
	return nil
}

// label has pods of every namespace that has or will have services get
// sidecars, and returns the namespaces' names. One that says itself what is to
// be is left alone.
func (u *up) label(ctx context.Context) ([]string, error) {
	wanted := map[string]bool{metav1.NamespaceDefault: true}
	for _, name := range u.Namespaces {
		wanted[name] = true
	}
	list, err := u.objects.Resource(services).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing services: %w", err)
	}
	for _, s := range list.Items {
		wanted[s.GetNamespace()] = true
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		ns, err := u.clients.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) { // the deployment would make it, without the label
			ns, err = u.clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		}
		if err != nil {
			return nil, fmt.Errorf("reading namespace %s: %w", name, err)
		}
		if said, ok := ns.Labels[injectionLabel]; ok && said != "enabled" {
			continue
		} else if !ok {
			err = u.patchNamespace(ctx, name, `{"metadata":{"labels":{"`+injectionLabel+`":"enabled"},"annotations":{"`+ledAnnotation+`":"in"}}}`)
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// unlabel undoes label, and returns the names of the namespaces.
func (u *up) unlabel(ctx context.Context) ([]string, error) {
	all, err := u.clients.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	var names []string
	for _, ns := range all.Items {
		if ns.Annotations[ledAnnotation] == "" {
			continue
		}
		if err := u.patchNamespace(ctx, ns.Name, `{"metadata":{"labels":{"`+injectionLabel+`":null},"annotations":{"`+ledAnnotation+`":"out"}}}`); err != nil {
			return nil, err
		}
		names = append(names, ns.Name)
	}
	return names, nil
}

func (u *up) patchNamespace(ctx context.Context, name, patch string) error {
	_, err := u.clients.CoreV1().Namespaces().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("labelling namespace %s: %w", name, err)
	}
	return nil
}

// awaitPods waits until the pods of all revisions in the namespaces have
// sidecars, or have none.
func (u *up) awaitPods(ctx context.Context, namespaces []string, sidecars bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rollout.Timeout, fmt.Errorf("not in %s", rollout.Timeout))
	defer cancel()
	var failed error
	err := bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		for _, ns := range namespaces {
			pods, err := u.clients.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: servingv1.RevisionLabel})
			if err != nil {
				return err
			}
			for i := range pods.Items {
				pod := &pods.Items[i]
				why, does := sidecarFailure(pod)
				switch {
				case does && why == "":
					why = u.lastWords(ctx, pod)
					fallthrough
				case does:
					failed = &bootstrap.ClusterError{
						Step: bootstrap.Mesh, Err: fmt.Errorf("the sidecar of pod %s/%s does not start: %s", ns, pod.Name, why),
						Hint: "`" + bootstrap.Command(u.box.Name, "up --mesh=false") + "` leads the box out of the mesh",
					}
					return nil
				case sidecars && held(pod):
					return fmt.Errorf("the sidecar of pod %s/%s is not ready", ns, pod.Name)
				case !settled(pod, sidecars):
					return fmt.Errorf("pod %s/%s is still there", ns, pod.Name)
				}
			}
		}
		return nil
	})
	return errors.Join(failed, err)
}

// settled says whether a pod has what it should have, a sidecar or none, or
// will soon be gone, or says itself what it should have.
func settled(pod *corev1.Pod, sidecar bool) bool {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return true
	}
	if pod.Labels[injectKey] != "" || pod.Annotations[injectKey] != "" {
		return true
	}
	return (pod.Labels[sidecarLabel] != "") == sidecar
}

// held says whether a pod's sidecar runs and is not ready yet: the containers
// that kubelet makes after that are not there.
func held(pod *corev1.Pod) bool {
	for _, s := range pod.Status.InitContainerStatuses {
		if s.Name == sidecarName && s.State.Running == nil {
			return false // it is on its way, or sidecarFailure says why not
		}
	}
	if pod.DeletionTimestamp != nil || pod.Labels[sidecarLabel] == "" {
		return false
	}
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		w := s.State.Waiting
		return w != nil && s.LastTerminationState.Terminated == nil && (w.Reason == "PodInitializing" || w.Reason == "ContainerCreating")
	})
}

// sidecarFailure says whether a pod's sidecar does not start, and why in its
// own words, where its end has any. It has not, once it has ended twice, or
// was not ready in time: then kubelet tells the container to end whose
// postStart waited for it, which is queue-proxy or the sidecar itself.
func sidecarFailure(pod *corev1.Pod) (why string, failed bool) {
	for _, s := range pod.Status.InitContainerStatuses {
		if s.Name != sidecarName {
			continue
		}
		if s.State.Waiting != nil && s.State.Waiting.Reason == hookFailed {
			return "", true
		}
		if end := s.LastTerminationState.Terminated; end != nil && s.RestartCount >= 2 && end.ExitCode != 0 {
			return cmp.Or(strings.TrimSpace(end.Message), fmt.Sprintf("it ends with exit code %d", end.ExitCode)), true
		}
	}
	return "", pod.DeletionTimestamp == nil && pod.Labels[sidecarLabel] != "" && slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		end := s.LastTerminationState.Terminated // told to by kubelet
		return s.Name == servingv1.QueueContainer && end != nil && end.ExitCode == 0
	})
}

// hookFailed is kubelet's reason for a container that was ended because its
// postStart failed.
const hookFailed = "PostStartHookError"

// lastWords are what the sidecar that does not become ready last wrote.
func (u *up) lastWords(ctx context.Context, pod *corev1.Pod) string {
	log, err := u.clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: sidecarName, TailLines: new(int64(3)),
	}).DoRaw(ctx)
	if words := strings.TrimSpace(string(log)); err == nil && words != "" {
		return "it is not ready in time; it last wrote:\n" + words
	}
	return "it is not ready in time"
}

// awaitGateway has the activator take requests in one way, and waits until the
// gateway sends them so.
func (u *up) awaitGateway(ctx context.Context, mode string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rollout.Timeout, fmt.Errorf("the gateway does not follow in %s", rollout.Timeout))
	defer cancel()
	configs := u.clients.CoreV1().ConfigMaps(servingv1.Namespace)
	if _, err := configs.Patch(ctx, "config-mesh", types.MergePatchType, []byte(`{"data":{"mtls":"`+mode+`"}}`), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("writing config-mesh: %w", err)
	}
	return bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		config, err := configs.Get(ctx, "config-mesh", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if (config.Annotations[gatewayAnnotation] != "") != (mode != inTheClear) {
			return errors.New("the gateway does not send requests so yet")
		}
		return nil
	})
}
