package kind

import (
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
)

// steps are those of a kind box, side by side: what one needs of another is a
// Gate.
func (u *up) steps() []bootstrap.Step {
	steps := []bootstrap.Step{
		{Name: "cluster", Do: u.cluster},
		{Name: "images", After: u.nodeUp, Do: u.importIstio},
		{Name: "istio", After: u.apiUp, Do: u.istio},
		{Name: "platform", Do: u.platform},
		{Name: "serving", After: u.kindsIn, Do: u.serving},
	}
	if u.Platform == nil {
		return steps[:3]
	}
	if len(u.parts)+len(u.box.Observability) > 0 {
		steps = append(steps, bootstrap.Step{Name: bootstrap.Observability, After: u.kindsIn, Do: u.observability})
	}
	if u.mesh || u.box.Mesh {
		steps = append(steps, bootstrap.Step{Name: bootstrap.Mesh, After: u.answersIn, Do: u.lead})
	}
	return steps
}

// up is one run of the steps: what they hand to each other. What a step finds
// out is read by others only after the Gate that it opens.
type up struct {
	bootstrap.Config

	// From the survey.
	box      *bootstrap.Box
	parts    []images.Role // that are to watch the box
	mesh     bool          // services' pods are to be in it
	found    cluster.State
	cgroupV1 bool // on docker's machine
	node     *cluster.Cluster

	nodeUp bootstrap.Gate // cluster: the node takes images

	apiUp   bootstrap.Gate // cluster: the API server answers
	clients kubernetes.Interface
	objects dynamic.Interface // mesh's
	helm    *helm.Client

	istioIn bootstrap.Gate // images: the node has Istio's images
	kindsIn bootstrap.Gate // istio: the API server serves Istio's kinds

	servingIn bootstrap.Gate // serving: the API server has the serving stack's objects
	answersIn bootstrap.Gate // serving: the box answers

	stackIn bootstrap.Gate // platform: the node has the serving stack's images
	stack   stack          // their names
}

func newUp(s *survey) *up {
	gate := func() bootstrap.Gate { return make(bootstrap.Gate) }
	return &up{
		Config: s.Config, box: s.Box, parts: s.parts, mesh: s.WantsMesh(), found: s.state, cgroupV1: s.docker.CgroupVersion == "1", node: cluster.New(s.Box.Name),
		nodeUp: gate(), apiUp: gate(), istioIn: gate(), kindsIn: gate(), servingIn: gate(), answersIn: gate(), stackIn: gate(),
	}
}
