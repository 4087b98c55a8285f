package watcher

import (
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// Prebuilt is the target of an image that is there already, with the default
// Service, named after the last part of the image's name. There is nothing to
// watch for it: Run is to be called with Once.
func Prebuilt(name string, image v1.Image) Target {
	t := Target{Dir: path.Base(name), Image: image}
	t.Service = defaultService(t)
	t.Name, t.Namespace = t.Service.Name, metav1.NamespaceDefault
	return t
}

// Written is the target of manifests that lie in no directory. What they say is
// applied as kubectl apply does it: it belongs to nobody, and is never removed.
func Written(name string, set *manifest.Set) Target {
	return Target{Name: name, Namespace: metav1.NamespaceDefault, set: set}
}
