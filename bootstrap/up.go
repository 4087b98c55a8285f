package bootstrap

import (
	"context"

	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/kind"
	"github.com/kind-in-a-box/devbox/internal/event"
)

// Up brings the box up and returns when its gateway and its registry answer.
// What is there already is left as it is, what was left half-way is repaired.
// It returns a *PrerequisiteError, having created nothing, where this machine
// lacks something; a *BusyError where another Up or Down works on the box; and
// a *ClusterError where a step fails.
func Up(ctx context.Context, cfg Config) (*Box, error) {
	cfg = cfg.withDefaults()
	unlock, err := lock(cfg.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()

	u := newUp(cfg)
	if err := (step{name: "preflight", do: u.preflight}).run(ctx, cfg.Events); err != nil {
		return nil, err
	}
	if err := u.noteParts(); err != nil {
		return nil, err
	}
	if u.box.Engine == engineEmbedded {
		err = u.process(ctx)
	} else {
		err = runAll(ctx, cfg.Events, u.steps())
	}
	if err != nil {
		return nil, err
	}
	cfg.Events.Emit(event.Event{Kind: event.BoxReady, URL: u.box.Gateway()})
	return u.box, nil
}

// steps are those of a kind box, side by side: what one needs of another is a
// gate.
func (u *up) steps() []step {
	steps := []step{
		{name: "cluster", do: u.cluster},
		{name: "images", after: u.nodeUp, do: u.importIstio},
		{name: "istio", after: u.apiUp, do: u.istio},
		{name: "platform", do: u.platform},
		{name: "serving", after: u.kindsIn, do: u.serving},
	}
	if u.Platform == nil {
		return steps[:3]
	}
	if len(u.parts)+len(u.box.Observability) > 0 {
		steps = append(steps, step{name: Observability, after: u.kindsIn, do: u.observability})
	}
	return steps
}

// up is one run of Up: what its steps hand to each other. What a step finds
// out is read by others only after the gate that it opens.
type up struct {
	Config

	// From preflight on.
	box     *Box
	running *process.Process // the box's process, nil where none runs
	parts   []images.Role    // that are to watch the box

	found    kind.State // of the cluster
	cgroupV1 bool       // on docker's machine
	kind     *kind.Cluster

	nodeUp gate // cluster: the node takes images

	apiUp   gate // cluster: the API server answers
	clients kubernetes.Interface
	helm    *helm.Client

	istioIn gate // images: the node has Istio's images
	kindsIn gate // istio: the API server serves Istio's kinds

	servingIn gate // serving: the API server has the serving stack's objects

	stackIn gate  // platform: the node has the serving stack's images
	stack   stack // their names
}

func newUp(cfg Config) *up {
	return &up{
		Config: cfg,
		nodeUp: make(gate), apiUp: make(gate), istioIn: make(gate), kindsIn: make(gate), stackIn: make(gate), servingIn: make(gate),
	}
}

// preflight looks whether a box can be made here, before anything is, and
// settles what box it will be.
func (u *up) preflight(ctx context.Context, say func(string)) (string, error) {
	s := look(ctx, u.Config)
	if failed := s.failed(); len(failed) > 0 {
		return "", &PrerequisiteError{Findings: failed}
	}
	for _, f := range s.findings {
		if f.Level == Warn {
			u.Events.Emit(event.Event{Kind: event.Warning, Step: "preflight", Message: f.Message, Hint: f.Hint})
		}
	}
	u.box, u.running, u.found, u.cgroupV1 = s.box, s.process, s.state, s.docker.CgroupVersion == "1"
	u.parts = s.parts
	u.kind = kind.New(u.box.Name)
	return s.summary(), nil
}
