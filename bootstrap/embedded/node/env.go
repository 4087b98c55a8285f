package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// sources is where environments and volumes get their values from: the pod,
// and the ConfigMaps and Secrets it names.
type sources struct {
	client      kubernetes.Interface
	pod         *corev1.Pod
	address     string // the pod's
	allocatable corev1.ResourceList
}

// environment is what c's process finds in its environment, as "name=value",
// and the same as a map for commands to refer to.
func (s sources) environment(ctx context.Context, c *corev1.Container) ([]string, map[string]string, error) {
	var names []string
	values := map[string]string{}
	set := func(name, value string) {
		if _, ok := values[name]; !ok {
			names = append(names, name)
		}
		values[name] = value
	}
	for _, from := range c.EnvFrom {
		data, err := s.all(ctx, from)
		if err != nil {
			return nil, nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(data)) {
			set(from.Prefix+key, string(data[key]))
		}
	}
	references := expansion.MappingFuncFor(values)
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			set(e.Name, expansion.Expand(e.Value, references))
			continue
		}
		value, ok, err := s.one(ctx, c, e.ValueFrom)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			set(e.Name, value)
		}
	}
	env := make([]string, 0, len(names))
	for _, name := range names {
		env = append(env, name+"="+values[name])
	}
	return env, values, nil
}

// all returns all that a ConfigMap or Secret holds. What is optional and
// missing is empty.
func (s sources) all(ctx context.Context, from corev1.EnvFromSource) (map[string][]byte, error) {
	switch {
	case from.ConfigMapRef != nil:
		return s.configMap(ctx, from.ConfigMapRef.Name, isTrue(from.ConfigMapRef.Optional))
	case from.SecretRef != nil:
		return s.secret(ctx, from.SecretRef.Name, isTrue(from.SecretRef.Optional))
	}
	return nil, nil
}

// one returns the value that from names; !ok where it is optional and missing.
func (s sources) one(ctx context.Context, c *corev1.Container, from *corev1.EnvVarSource) (value string, ok bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = s.field(from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = s.resource(c.Name, from.ResourceFieldRef)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := s.configMap(ctx, ref.Name, isTrue(ref.Optional))
		return key(data, err, ref.Key, "ConfigMap", s.pod.Namespace+"/"+ref.Name, isTrue(ref.Optional))
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := s.secret(ctx, ref.Name, isTrue(ref.Optional))
		return key(data, err, ref.Key, "Secret", s.pod.Namespace+"/"+ref.Name, isTrue(ref.Optional))
	}
	return "", false, fmt.Errorf("the embedded engine knows no such source of a value: %s", from)
}

func key(data map[string][]byte, err error, key, kind, name string, optional bool) (string, bool, error) {
	value, ok := data[key]
	switch {
	case err != nil:
		return "", false, err
	case !ok && !optional:
		return "", false, fmt.Errorf("couldn't find key %s in %s %s", key, kind, name)
	}
	return string(value), ok, nil
}

// configMap returns what the ConfigMap holds, text and bytes alike.
func (s sources) configMap(ctx context.Context, name string, optional bool) (map[string][]byte, error) {
	object, err := s.client.CoreV1().ConfigMaps(s.pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if optional && apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data := maps.Clone(object.BinaryData)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, value := range object.Data {
		data[key] = []byte(value)
	}
	return data, nil
}

func (s sources) secret(ctx context.Context, name string, optional bool) (map[string][]byte, error) {
	object, err := s.client.CoreV1().Secrets(s.pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if optional && apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return object.Data, nil
}

// field returns the downward API's value of path. What the pod's status says
// is known here before it is written there.
func (s sources) field(path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return s.pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return s.pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return hostIP, nil
	case "status.podIP", "status.podIPs":
		return s.address, nil
	}
	return fieldpath.ExtractFieldPathAsString(s.pod, path)
}

func (s sources) resource(container string, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" {
		container = ref.ContainerName
	}
	return resource.ExtractResourceValueByContainerNameAndNodeAllocatable(ref, s.pod, container, s.allocatable)
}

// command returns what c's process is: the container's command and args where
// it has them, the image's elsewhere, with $(NAME) replaced.
//
//	          no args                  args
//	no command  entrypoint + cmd       entrypoint + args
//	command     command                command + args
func command(c *corev1.Container, entrypoint, cmd []string, values map[string]string) []string {
	references := expansion.MappingFuncFor(values)
	expand := func(words []string) []string {
		out := make([]string, 0, len(words))
		for _, w := range words {
			out = append(out, expansion.Expand(w, references))
		}
		return out
	}
	switch {
	case len(c.Command) > 0:
		return append(expand(c.Command), expand(c.Args)...)
	case len(c.Args) > 0:
		return append(slices.Clone(entrypoint), expand(c.Args)...)
	}
	return slices.Concat(entrypoint, cmd)
}

// user returns who c's process is, "" for the image's own user, and refuses
// root where the pod does.
func user(pod *corev1.PodSecurityContext, c *corev1.SecurityContext, image string) (string, error) {
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}
	if c == nil {
		c = &corev1.SecurityContext{}
	}
	uid, gid, nonRoot := first(c.RunAsUser, pod.RunAsUser), first(c.RunAsGroup, pod.RunAsGroup), first(c.RunAsNonRoot, pod.RunAsNonRoot)
	name := image
	if uid != nil {
		name = fmt.Sprint(*uid)
	}
	who, group, _ := strings.Cut(name, ":")
	if isTrue(nonRoot) {
		switch {
		case uid != nil && *uid == 0:
			return "", fmt.Errorf("container's runAsUser breaks non-root policy")
		case who == "" || who == "0" || who == "root":
			return "", fmt.Errorf("container has runAsNonRoot and image will run as root")
		}
	}
	switch {
	case gid != nil:
		if who == "" {
			who = "0"
		}
		return fmt.Sprintf("%s:%d", who, *gid), nil
	case uid == nil:
		return "", nil
	case group != "":
		return who + ":" + group, nil
	}
	return who, nil
}

func first[T any](values ...*T) *T {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}

func isTrue(b *bool) bool { return b != nil && *b }
