package node

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// heartbeat is how often the Node is written anew. Nothing waits for it: it
// mends a Node that somebody has changed or deleted.
const heartbeat = time.Minute

// register makes the Node and says that it is ready.
func (n *node) register(ctx context.Context, port int) error {
	object := applycorev1.Node(n.name).WithLabels(n.labels()).
		WithAnnotations(map[string]string{servingv1.PodNetworkAnnotation: n.podNetwork()})
	options := metav1.ApplyOptions{FieldManager: component, Force: true}
	if _, err := n.client.CoreV1().Nodes().Apply(ctx, object, options); err != nil {
		return fmt.Errorf("registering node %s: %w", n.name, err)
	}
	return n.applyStatus(ctx, port, corev1.ConditionTrue, "KubeletReady", "pods run as processes of this machine")
}

// leave says that the Node takes no pods any more.
func (n *node) leave(ctx context.Context, port int) error {
	return n.applyStatus(ctx, port, corev1.ConditionFalse, "KubeletNotReady", "devbox is not running")
}

// keepRegistered keeps the Node ready until ctx ends.
func (n *node) keepRegistered(ctx context.Context, port int) {
	for proxy.Sleep(ctx, heartbeat) {
		if err := n.register(ctx, port); err != nil && ctx.Err() == nil {
			n.log.Warn("keeping the node registered; it is tried again", "error", err)
		}
	}
}

func (n *node) podNetwork() string {
	if n.network == nil {
		return servingv1.PodNetworkMachine
	}
	return servingv1.PodNetworkOwn
}

func (n *node) labels() map[string]string {
	return map[string]string{
		corev1.LabelHostname:                    n.name,
		corev1.LabelOSStable:                    runtime.GOOS,
		corev1.LabelArchStable:                  runtime.GOARCH,
		"node-role.kubernetes.io/control-plane": "",
	}
}

func (n *node) applyStatus(ctx context.Context, port int, ready corev1.ConditionStatus, reason, message string) error {
	m := n.machine
	status := applycorev1.NodeStatus().
		WithCapacity(m.capacity).
		WithAllocatable(m.capacity).
		WithAddresses(
			applycorev1.NodeAddress().WithType(corev1.NodeInternalIP).WithAddress(hostIP),
			applycorev1.NodeAddress().WithType(corev1.NodeHostName).WithAddress(n.name)).
		WithDaemonEndpoints(applycorev1.NodeDaemonEndpoints().
			WithKubeletEndpoint(applycorev1.DaemonEndpoint().WithPort(int32(port)))).
		WithNodeInfo(applycorev1.NodeSystemInfo().
			WithMachineID(m.id).WithSystemUUID(m.id).WithBootID(m.boot).
			WithKernelVersion(m.kernel).WithOSImage(m.system).
			WithContainerRuntimeVersion("devbox://1").
			WithKubeletVersion(m.version).WithKubeProxyVersion("").
			WithOperatingSystem(runtime.GOOS).WithArchitecture(runtime.GOARCH)).
		WithConditions(n.condition(corev1.NodeReady, ready, reason, message))
	for _, c := range []struct {
		of     corev1.NodeConditionType
		reason string
	}{
		{corev1.NodeMemoryPressure, "KubeletHasSufficientMemory"},
		{corev1.NodeDiskPressure, "KubeletHasNoDiskPressure"},
		{corev1.NodePIDPressure, "KubeletHasSufficientPID"},
	} {
		status.WithConditions(n.condition(c.of, corev1.ConditionFalse, c.reason, "the machine's own limits hold"))
	}
	object := applycorev1.Node(n.name).WithStatus(status)
	options := metav1.ApplyOptions{FieldManager: component, Force: true}
	if _, err := n.client.CoreV1().Nodes().ApplyStatus(ctx, object, options); err != nil {
		return fmt.Errorf("writing the status of node %s: %w", n.name, err)
	}
	return nil
}

// condition is one of the Node's; each is as it was since the node started or
// since it ends.
func (n *node) condition(of corev1.NodeConditionType, is corev1.ConditionStatus, reason, message string) *applycorev1.NodeConditionApplyConfiguration {
	now := metav1.Now()
	since := n.machine.since
	if of == corev1.NodeReady && is == corev1.ConditionFalse {
		since = now
	}
	return applycorev1.NodeCondition().WithType(of).WithStatus(is).WithReason(reason).WithMessage(message).
		WithLastHeartbeatTime(now).WithLastTransitionTime(since)
}

// refuse says why the node does not run pod, nil if it does.
func (n *node) refuse(pod *corev1.Pod) *refusal {
	if errs := Unsupported(&pod.Spec); len(errs) > 0 {
		var all []string
		for _, err := range errs {
			all = append(all, err.Error())
		}
		return &refusal{reasonUnsupported, strings.Join(all, "; ")}
	}
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: n.labels()}}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(object); err != nil || !ok {
		return &refusal{"NodeAffinity", "Pod was rejected: this box has one node, and it does not match the pod's node affinity/selector"}
	}
	return nil
}
