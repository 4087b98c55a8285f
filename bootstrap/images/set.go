// Package images knows which images a box needs, where they come from and how
// they get into its node.
//
//	OCI layout (--images DIR) --> docker load --> the node's container
//	          |                 \-> ctr import --> the node's containerd
//	container registries -------- docker pull, crictl pull
//	images built on this machine -> ctr import
//
// Every image that does not come from a registry gets a name that ends in its
// digest. What is there under that name is therefore what is wanted: nothing
// is sent twice, and a changed image changes the object that names it.
package images

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Role says what an image is for. The values are the annotation RoleKey of a
// layout's manifests.
type Role string

// The roles of a box's images.
const (
	Node  Role = "node"
	Pilot Role = "istio-pilot"
	Proxy Role = "istio-proxy"
)

var roles = []Role{Node, Pilot, Proxy}

// Annotations of a layout: of its manifests, and of its index.
const (
	RefKey        = "org.opencontainers.image.ref.name"
	RoleKey       = "dev.devbox.role"
	EnvoyKey      = "dev.devbox.envoy" // "upstream": plain Envoy, without Istio's extensions
	CNIKey        = "dev.devbox.cni"   // "builtin": the node image brings a pod network
	KubernetesKey = "dev.devbox.kubernetes"
	IstioKey      = "dev.devbox.istio"
)

// IstioVersion is the release of Istio that matches the charts devbox
// embeds, used where no layout says otherwise.
const IstioVersion = "1.31.1"

// istioHub is where Istio publishes the images of its releases.
const istioHub = "docker.io/istio"

// Set is the images of one box. It is saved with the box.
type Set struct {
	Layout        string         `json:"layout,omitempty"` // the OCI layout; "" for the container registries
	Kubernetes    string         `json:"kubernetes,omitempty"`
	Istio         string         `json:"istio"`
	UpstreamEnvoy bool           `json:"upstreamEnvoy,omitempty"`
	BuiltinCNI    bool           `json:"builtinCNI,omitempty"`
	Images        map[Role]Image `json:"images"`
}

// Image is one image of a Set.
type Image struct {
	Ref    string  `json:"ref"`             // its name in the engine and in the node
	Name   string  `json:"name,omitempty"`  // what the layout calls it
	Digest v1.Hash `json:"digest,omitzero"` // its manifest in the layout
}

// Released is the images of a box whose container registries are in reach:
// the given node image, and Istio's release.
func Released(nodeImage string) Set {
	return Set{
		Istio: IstioVersion,
		Images: map[Role]Image{
			Node:  {Ref: nodeImage},
			Pilot: {Ref: istioHub + "/pilot:" + IstioVersion},
			Proxy: {Ref: istioHub + "/proxyv2:" + IstioVersion},
		},
	}
}

// Ref is the name of the set's image of that role.
func (s Set) Ref(r Role) string { return s.Images[r].Ref }

// LocalRef names an image by what is in it: repository:tag-<digest>. tag may
// be empty.
func LocalRef(repository, tag string, digest v1.Hash) string {
	if tag != "" {
		tag += "-"
	}
	return fmt.Sprintf("%s:%s%.12s", repository, tag, digest.Hex)
}

// localRef is the LocalRef of an image that a layout calls ref.
func localRef(ref string, digest v1.Hash) (string, error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", fmt.Errorf("reading image name: %w", err)
	}
	return LocalRef(tag.Repository.Name(), tag.TagStr(), digest), nil
}
