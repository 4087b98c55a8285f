package embedded

import (
	"context"
	"fmt"
	"runtime"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/data"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
)

// Engine runs boxes as processes.
type Engine struct{}

// Name is "embedded".
func (Engine) Name() string { return "embedded" }

// Ready is well: a process can be had everywhere.
func (Engine) Ready(context.Context) error { return nil }

// need is what a box asks of its machine: it holds 0.3 GB of memory, and takes
// the disk of its registry and its etcd.
var need = bootstrap.Need{
	LeastMemory: bootstrap.GiB / 2, GoodMemory: 1 * bootstrap.GiB, LeastDisk: bootstrap.GiB / 2, GoodDisk: 2 * bootstrap.GiB,
	Instances: 128,
	Place:     "for the box's folder",
	MoreDisk:  "remove what you no longer need, or set XDG_CONFIG_HOME to a directory on another disk", MoreCores: "a build will take both",
}

// Survey looks at this machine, and at the box's process.
func (Engine) Survey(ctx context.Context, s *bootstrap.Survey) []bootstrap.Step {
	said := "embedded engine"
	if s.Since != "" {
		said += ", since " + s.Since
	}
	s.Add("engine", bootstrap.OK, said, "")
	if s.Mesh != nil && *s.Mesh {
		s.Add(bootstrap.Mesh, bootstrap.Fail, "the mesh is Istio's, and the embedded engine has no Istio", "leave out --mesh, or use --engine kind, which needs Docker")
		return nil
	}
	s.Box = s.Record
	if s.Box == nil {
		s.Box = bootstrap.NewBox(s.Name, Engine{}.Name(), s.Dir)
	}
	running, err := process.Find(ctx, s.Dir)
	if err != nil {
		s.Add("box", bootstrap.Fail, err.Error(), "`"+bootstrap.Command(s.Name, "down")+"` removes the box")
		return nil
	}
	s.There = running != nil
	s.Measure(s.Dir, runtime.NumCPU(), need)
	s.SettlePorts(ctx)
	s.SettlePort(&s.Box.MetricsPort)
	settleImages(s)
	if len(s.Failed()) > 0 {
		return nil
	}
	return newUp(s, running, s.SettleParts(ctx)).steps()
}

// Down ends the box's process, and with it every process of its pods.
func (Engine) Down(ctx context.Context, box *bootstrap.Box, say func(string)) error {
	running, err := process.Find(ctx, box.Dir())
	if err != nil {
		return err
	}
	if running != nil {
		say(fmt.Sprintf("ending the box's process %d", running.PID))
		if err := running.Stop(ctx); err != nil {
			return err
		}
	}
	return data.Remove(data.Of(box.Dir()))
}
