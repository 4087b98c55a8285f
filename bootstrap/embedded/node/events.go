package node

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// component is whose events these are: they read like a kubelet's, and what
// looks for a kubelet's finds them.
const component = "kubelet"

// The reasons of a kubelet for its events, and one of this node's own.
const (
	reasonPulled         = "Pulled"
	reasonCreated        = "Created"
	reasonStarted        = "Started"
	reasonKilling        = "Killing"
	reasonFailed         = "Failed"
	reasonBackOff        = "BackOff"
	reasonUnhealthy      = "Unhealthy"
	reasonNeverPull      = "ErrImageNeverPull"
	reasonFailedMount    = "FailedMount"
	reasonFailedPreStop  = "FailedPreStopHook"
	reasonFailedPostHook = "FailedPostStartHook"
	reasonNotListening   = "NotListening"
)

// events tells of what happens to pods. It never waits for the API server.
type events struct{ recorder record.EventRecorder }

// startEvents makes n.events work until stop is called.
func (n *node) startEvents(ctx context.Context) (stop func()) {
	broadcaster := record.NewBroadcaster(record.WithContext(context.WithoutCancel(ctx)))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: n.client.CoreV1().Events("")})
	n.events = events{broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component, Host: n.name})}
	return broadcaster.Shutdown
}

// note tells of what is as it should be.
func (e events) note(about *corev1.ObjectReference, reason, format string, args ...any) {
	e.recorder.Event(about, corev1.EventTypeNormal, reason, fmt.Sprintf(format, args...))
}

// warn tells of what is not.
func (e events) warn(about *corev1.ObjectReference, reason, format string, args ...any) {
	e.recorder.Event(about, corev1.EventTypeWarning, reason, fmt.Sprintf(format, args...))
}

// podReference is what an event about pod is about, or about a part of it
// such as "spec.containers{app}".
func podReference(pod *corev1.Pod, part string) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod",
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		ResourceVersion: pod.ResourceVersion,
		FieldPath:       part,
	}
}
