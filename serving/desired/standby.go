package desired

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/standby"
)

// StandbyProgram is where the program that waits is in the image of a standby
// pod.
const StandbyProgram = "/devbox/standby"

// Waiting says how a standby pod waits.
type Waiting struct {
	Image string // with StandbyProgram in it
	URL   string // of the controller's Desk, from the pod
	Token string
}

// StandbyPod is template, which Pod has made, as a pod that waits: it belongs to
// the configuration and to no revision yet, has none of the labels by which
// services, policies and people find a revision's pods, and its programs have not
// begun. Kept has to be "" for template.
func StandbyPod(template *corev1.Pod, c *servingv1.Configuration, w Waiting) *corev1.Pod {
	pod := template.DeepCopy()
	pod.GenerateName = servingv1.PodPrefix(c.Name + "-standby")
	pod.OwnerReferences = ownedBy(c, "Configuration")
	pod.Labels = map[string]string{
		servingv1.StandbyLabel:   servingv1.StandbyWaits,
		servingv1.StandbyOfLabel: c.Name,
	}
	for i := range pod.Spec.Containers {
		container := &pod.Spec.Containers[i]
		container.Env = append(slices.DeleteFunc(container.Env, later),
			corev1.EnvVar{Name: standby.URLVariable, Value: w.URL},
			corev1.EnvVar{Name: standby.TokenVariable, Value: w.Token},
			corev1.EnvVar{Name: standby.PodVariable, ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"},
			}},
		)
		container.Args = []string{"standby", container.Name}
		if container.Name == servingv1.QueueContainer {
			continue
		}
		container.Image, container.Command, container.WorkingDir = w.Image, []string{StandbyProgram}, "/"
		container.ImagePullPolicy = corev1.PullIfNotPresent
	}
	return pod
}

// later says that a variable is given to a container with its orders. What the
// node fills in it has when it is made, and where a collector is found from the
// pod: the machine has another address there, if the pod has a network of its
// own.
func later(e corev1.EnvVar) bool { return e.ValueFrom == nil && e.Name != tracingEndpoint }

// CannotWait is why no pod can stand by for a pod like this one, which Pod has
// made, or "": what the node does of itself, or has done before the program
// begins, cannot be given to it later.
func CannotWait(pod *corev1.Pod) string {
	user := userOf(pod)
	switch {
	case user == nil:
		return "it has several containers"
	case len(pod.Spec.InitContainers) > 0:
		return "it has init containers"
	case len(pod.Spec.ImagePullSecrets) > 0:
		return "it has image pull secrets"
	case pod.Labels[servingv1.MeshLabel] == servingv1.MeshSidecar:
		return "it is in the mesh, whose policies a sidecar goes by as its pod's labels were when it started"
	case user.SecurityContext != nil && user.SecurityContext.ReadOnlyRootFilesystem != nil && *user.SecurityContext.ReadOnlyRootFilesystem:
		return "its root file system is read-only"
	case user.LivenessProbe != nil, user.StartupProbe != nil, user.ReadinessProbe != nil:
		return "it has a probe that the kubelet makes, which a program that waits does not answer"
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool { return p.DownwardAPI != nil }) {
			return fmt.Sprintf("the volume %s tells of the pod itself, which is another by then", v.Name)
		}
	}
	for _, m := range user.VolumeMounts {
		if slices.ContainsFunc(standby.Roots, func(root string) bool { return within(root, m.MountPath) || within(m.MountPath, root) }) {
			return fmt.Sprintf("a volume is mounted at %s, where its image has the program", m.MountPath)
		}
	}
	return ""
}

// Source is a ConfigMap or a Secret from which a pod has values.
type Source struct{ Kind, Name string }

// String names it for a person.
func (s Source) String() string { return s.Kind + " " + s.Name }

// Sources are those of a pod that can wait, each once: what they say the node
// gives to the pod when it is made, and nobody afterwards.
func Sources(pod *corev1.Pod) []Source {
	found := map[Source]bool{}
	configMap := func(name string) { found[Source{"ConfigMap", name}] = true }
	secret := func(name string) { found[Source{"Secret", name}] = true }
	user := userOf(pod)
	for _, e := range user.Env {
		switch {
		case e.ValueFrom == nil:
		case e.ValueFrom.ConfigMapKeyRef != nil:
			configMap(e.ValueFrom.ConfigMapKeyRef.Name)
		case e.ValueFrom.SecretKeyRef != nil:
			secret(e.ValueFrom.SecretKeyRef.Name)
		}
	}
	for _, e := range user.EnvFrom {
		switch {
		case e.ConfigMapRef != nil:
			configMap(e.ConfigMapRef.Name)
		case e.SecretRef != nil:
			secret(e.SecretRef.Name)
		}
	}
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			configMap(v.ConfigMap.Name)
		case v.Secret != nil:
			secret(v.Secret.SecretName)
		case v.Projected != nil:
			for _, p := range v.Projected.Sources {
				switch {
				case p.ConfigMap != nil:
					configMap(p.ConfigMap.Name)
				case p.Secret != nil:
					secret(p.Secret.Name)
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b Source) int { return strings.Compare(a.String(), b.String()) })
}

func within(dir, name string) bool {
	dir, name = path.Clean("/"+dir), path.Clean("/"+name)
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}

// userOf is the one container of the user's, nil where there are more.
func userOf(pod *corev1.Pod) *corev1.Container {
	if len(pod.Spec.Containers) != 2 {
		return nil
	}
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name != servingv1.QueueContainer })
	return &pod.Spec.Containers[max(i, 0)]
}

// UserImage is the image of the user's container.
func UserImage(pod *corev1.Pod) string {
	if user := userOf(pod); user != nil {
		return user.Image
	}
	return ""
}

// Image is what is known of an image that ko has built.
type Image struct {
	Base    []string        // the layers under ko's own, by what is in them
	Layers  []standby.Layer // ko's own
	User    string
	Dir     string
	Env     []string // NAME=value; over it goes what a ConfigMap says, and over that the pod
	Program []string // entrypoint, and what follows it where a pod says nothing
	Args    []string
}

// Owner is the user and the group that the pod's program runs as, to whom what it
// writes has to belong. They are numbers in all images that need no list of
// names.
func Owner(pod *corev1.Pod, image Image) (uid, gid int, err error) {
	name, group, _ := strings.Cut(image.User, ":")
	if user := userOf(pod); user != nil && user.SecurityContext != nil {
		if id := user.SecurityContext.RunAsUser; id != nil {
			name = strconv.FormatInt(*id, 10)
		}
		if id := user.SecurityContext.RunAsGroup; id != nil {
			group = strconv.FormatInt(*id, 10)
		}
	}
	if name == "" || name == "root" {
		name = "0"
	}
	if uid, err = strconv.Atoi(name); err != nil {
		return 0, 0, fmt.Errorf("its image runs as the user %q, which is a name and no number", name)
	}
	if gid, err = strconv.Atoi(group); err != nil {
		gid = 0 // the owner is enough
	}
	return uid, gid, nil
}

// Adopt is how a standby pod made of template, with the image had, becomes a pod
// like wanted, with the image want: an order for each container, or why it
// cannot. Both pods are Pod's. Only the image's layers, the environment, arguments,
// command and working directory may differ, and what queue-proxy is told.
func Adopt(template, wanted *corev1.Pod, had, want Image) (orders map[string]*standby.Order, why string) {
	if why := CannotWait(wanted); why != "" {
		return nil, why
	}
	if why := difference("spec", plain(bare(template)), plain(bare(wanted))); why != "" {
		return nil, why
	}
	switch {
	case !slices.Equal(had.Base, want.Base):
		return nil, "its image has another base"
	case had.User != want.User:
		return nil, fmt.Sprintf("its image runs as the user %q, and was to run as %q", want.User, had.User)
	case !slices.Equal(had.Env, want.Env):
		return nil, "its image has other variables"
	}
	orders = map[string]*standby.Order{}
	for i := range wanted.Spec.Containers {
		c := &wanted.Spec.Containers[i]
		if why := refers(c); why != "" {
			return nil, why
		}
		order := &standby.Order{Env: map[string]string{}}
		if c.Name != servingv1.QueueContainer {
			order.Layers = want.Layers
			order.Dir = c.WorkingDir
			if order.Dir == "" {
				order.Dir = want.Dir
			}
			order.Args = command(c, want)
			if len(order.Args) == 0 {
				return nil, "its image names no program"
			}
		}
		for _, e := range c.Env {
			if later(e) {
				order.Env[e.Name] = e.Value
			}
		}
		orders[c.Name] = order
	}
	return orders, ""
}

// command is what a container runs: its own words, or those of its image.
func command(c *corev1.Container, image Image) []string {
	switch {
	case len(c.Command) > 0:
		return slices.Concat(c.Command, c.Args)
	case len(c.Args) > 0:
		return slices.Concat(image.Program, c.Args)
	}
	return slices.Concat(image.Program, image.Args)
}

// refers says that a container's text is for the kubelet to fill in.
func refers(c *corev1.Container) string {
	for _, word := range slices.Concat(c.Command, c.Args) {
		if strings.Contains(word, "$(") || strings.Contains(word, "$$") {
			return fmt.Sprintf("the arguments of %s refer to variables: %s", c.Name, word)
		}
	}
	for _, e := range c.Env {
		if strings.Contains(e.Value, "$(") || strings.Contains(e.Value, "$$") {
			return fmt.Sprintf("the variable %s of %s refers to others", e.Name, c.Name)
		}
	}
	return ""
}

// bare is a pod's spec without what an order says.
func bare(pod *corev1.Pod) *corev1.PodSpec {
	spec := pod.Spec.DeepCopy()
	for i := range spec.Containers {
		c := &spec.Containers[i]
		c.Env = slices.DeleteFunc(c.Env, later)
		if c.Name != servingv1.QueueContainer {
			c.Image, c.Command, c.Args, c.WorkingDir = "", nil, nil, ""
		}
	}
	return spec
}

// Adopted is the metadata that makes a standby pod a pod of wanted's revision, as
// a merge patch: its labels, its annotations and its owner, and what says that it
// was a standby pod. Of the pod's own annotations those go that wanted has not.
func Adopted(pod, wanted *corev1.Pod, at string) map[string]any {
	labels := map[string]any{servingv1.StandbyLabel: servingv1.StandbyAdopted}
	for key, value := range wanted.Labels {
		labels[key] = value
	}
	annotations := map[string]any{}
	for key := range pod.Annotations {
		annotations[key] = nil
	}
	for key, value := range wanted.Annotations {
		annotations[key] = value
	}
	annotations[servingv1.AdoptedAnnotation] = at
	return map[string]any{"metadata": map[string]any{
		"uid": pod.UID, "labels": labels, "annotations": annotations, "ownerReferences": ownerReferences(wanted.OwnerReferences),
	}}
}

func ownerReferences(refs []metav1.OwnerReference) []any {
	var out []any
	for _, r := range refs {
		out = append(out, map[string]any{
			"apiVersion": r.APIVersion, "kind": r.Kind, "name": r.Name, "uid": r.UID,
			"controller": r.Controller, "blockOwnerDeletion": r.BlockOwnerDeletion,
		})
	}
	return out
}
