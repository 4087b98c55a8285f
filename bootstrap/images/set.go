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
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Role says what an image is for. The values are the annotation RoleKey of a
// layout's manifests.
type Role string

// The roles of a box's images. Those from Prometheus on a box does without.
const (
	Node       Role = "node"
	Pilot      Role = "istio-pilot"
	Proxy      Role = "istio-proxy"
	Prometheus Role = "prometheus"
	Zipkin     Role = "zipkin"
	Grafana    Role = "grafana"
)

// Needed are the roles of every box, Observability those of a box that is to
// be watched.
var (
	Needed        = []Role{Node, Pilot, Proxy}
	Observability = []Role{Prometheus, Zipkin, Grafana}
)

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

// What watches a box, as its makers publish it. Grafana's program is under
// the AGPL; it is fetched, and never a part of devbox.
const (
	prometheusImage = "docker.io/prom/prometheus:v3.5.0"
	zipkinImage     = "docker.io/openzipkin/zipkin-slim:3.5.1"
	grafanaImage    = "docker.io/grafana/grafana:12.1.0"
)

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
// the given node image, Istio's release, and what watches a box.
func Released(nodeImage string) Set {
	return Set{
		Istio: IstioVersion,
		Images: map[Role]Image{
			Node:  {Ref: nodeImage},
			Pilot: {Ref: istioHub + "/pilot:" + IstioVersion},
			Proxy: {Ref: istioHub + "/proxyv2:" + IstioVersion},

			Prometheus: {Ref: prometheusImage},
			Zipkin:     {Ref: zipkinImage},
			Grafana:    {Ref: grafanaImage},
		},
	}
}

// Ref is the name of the set's image of that role, "" where it has none.
func (s Set) Ref(r Role) string { return s.Images[r].Ref }

// Roles are those that the set has an image of, in their order.
func (s Set) Roles() []Role {
	return slices.DeleteFunc(slices.Concat(Needed, Observability), func(r Role) bool { return s.Ref(r) == "" })
}

// Complete is the set with the images that watch a box, which an older record
// of a box does not have: those that are where the others came from.
func (s Set) Complete() (Set, error) {
	from := Released("")
	if s.Layout != "" {
		var err error
		if from, err = FromLayout(s.Layout); err != nil {
			return s, err
		}
	}
	s.Images = maps.Clone(s.Images)
	if s.Images == nil {
		s.Images = map[Role]Image{} // of a box that needs no images
	}
	for _, r := range Observability {
		if i, ok := from.Images[r]; ok && s.Ref(r) == "" {
			s.Images[r] = i
		}
	}
	return s, nil
}

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
