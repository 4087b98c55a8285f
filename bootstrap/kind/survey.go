package kind

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/docker"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
)

// need is what a box asks of its machine: the node, Istio and the stack hold
// 1.3 GB of memory, and the images and the node's files take 3 GB of disk.
var need = bootstrap.Need{
	LeastMemory: 1 * bootstrap.GiB, GoodMemory: 3 * bootstrap.GiB, LeastDisk: 2 * bootstrap.GiB, GoodDisk: 6 * bootstrap.GiB,
	Instances: 512, // of kind's own advice: a node's systemd, kubelet and containerd hold dozens
	Place:     "where docker keeps its files",
	MoreDisk:  "remove what docker no longer needs with `docker system prune`", MoreCores: "give docker more",
}

// survey is a look at what a kind box needs.
type survey struct {
	*bootstrap.Survey
	docker docker.Info
	state  cluster.State
	parts  []images.Role // that will watch the box
}

// Survey looks at Docker, the machine that it runs on, what there is of the
// cluster, and whether all images can be had.
func (Engine) Survey(ctx context.Context, found *bootstrap.Survey) []bootstrap.Step {
	s := &survey{Survey: found}
	s.look(ctx)
	if len(s.Failed()) > 0 {
		return nil
	}
	return newUp(s).steps()
}

func (s *survey) look(ctx context.Context) {
	s.askDocker(ctx)
	if len(s.Failed()) > 0 {
		return
	}
	s.Add("engine", bootstrap.OK, "kind on Docker "+majorMinor(s.docker.ServerVersion), "")
	s.Measure(s.docker.DockerRootDir, s.docker.NCPU, need)
	if s.docker.CgroupVersion == "1" {
		s.Add("cgroups", bootstrap.OK, "cgroup v1, which Kubernetes is about to drop", "")
	}
	s.cluster(ctx)
	if len(s.Failed()) > 0 {
		return
	}
	s.SettlePorts(ctx)
	s.images(ctx)
	if len(s.Failed()) == 0 {
		s.parts = s.SettleParts(ctx)
	}
}

// askDocker looks whether the container engine can be reached.
func (s *survey) askDocker(ctx context.Context) {
	info, err := docker.GetInfo(ctx)
	if err == nil {
		s.docker = info
		if host := docker.Elsewhere(ctx); host != "" {
			s.Add("docker", bootstrap.Fail, "docker is on another machine, and so would be the box's ports: "+host,
				"choose this machine's with `docker context use default`, or use --engine embedded, which needs none")
			return
		}
		s.Add("docker", bootstrap.OK, "Docker "+majorMinor(info.ServerVersion), "")
		return
	}
	hint := "see what `docker info` says"
	switch {
	case errors.Is(err, docker.ErrMissing):
		hint = "install Docker, or put the docker command on the PATH"
	case errors.Is(err, docker.ErrPermission):
		hint = "add yourself to its group with `sudo usermod -aG docker $USER` and log in again"
	case errors.Is(err, docker.ErrPodman):
		hint = "install Docker, which devbox's kind boxes need"
	case errors.Is(err, docker.ErrStopped):
		hint = "start it: `sudo systemctl start docker`, or Docker Desktop"
	}
	s.Add("docker", bootstrap.Fail, whyNot(err), hint+"; or use --engine embedded, which needs none")
}

// whyNot says in a few words why docker cannot be had.
func whyNot(err error) string {
	switch {
	case errors.Is(err, docker.ErrMissing):
		return "docker is not installed"
	case errors.Is(err, docker.ErrPermission):
		return "you may not talk to docker"
	case errors.Is(err, docker.ErrStopped):
		return "docker is not running"
	case errors.Is(err, docker.ErrPodman):
		return docker.ErrPodman.Error()
	case err == nil:
		return "docker has just come up"
	}
	return err.Error()
}

func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// cluster looks what there is of the box already.
func (s *survey) cluster(ctx context.Context) {
	var asked *cluster.Spec
	if s.Record != nil {
		asked = new(spec(s.Record))
	}
	state, err := cluster.New(s.Name).State(ctx, asked)
	switch {
	case err != nil:
		s.Add("box", bootstrap.Fail, err.Error(), "see what `docker ps --all` says")
	case state == cluster.Foreign:
		s.Add("box", bootstrap.Fail, fmt.Sprintf("there is a kind cluster %q that devbox did not make", s.Name),
			"choose another --name, or remove it with `kind delete cluster --name "+s.Name+"`")
	case state == cluster.Absent:
		s.Box, s.state = bootstrap.NewBox(s.Name, Engine{}.Name(), s.Dir), state
	default:
		s.Box, s.state, s.There = s.Record, state, true
	}
}

// images looks whether every image of the box can be had.
func (s *survey) images(ctx context.Context) {
	there := s.There && s.Box.Complete
	if s.ImagesDir == "" && there {
		return // the box has what it was made with
	}
	if s.ImagesDir == "" {
		s.Box.Images = Released()
		s.reach(ctx)
		return
	}
	set, err := images.FromLayout(s.ImagesDir)
	if err != nil {
		s.Add("images", bootstrap.Fail, err.Error(), "make it again: `make lab` prints a directory that is complete")
		return
	}
	if node := s.Box.Images.Ref(images.Node); there && node != set.Ref(images.Node) {
		s.Add("images", bootstrap.Warn, "the box keeps the node image that it was made with, "+node, "`"+bootstrap.Command(s.Name, "down")+"` first for the new one")
		set.Images[images.Node] = s.Box.Images.Images[images.Node]
		set.BuiltinCNI, set.Kubernetes = s.Box.Images.BuiltinCNI, s.Box.Images.Kubernetes
	}
	s.Box.Images = set
	s.Add("images", bootstrap.OK, "all in "+set.Layout, "")
}

// reach looks whether the container registries of the images that are not
// here answer.
func (s *survey) reach(ctx context.Context) {
	refs := []string{s.Box.Images.Ref(images.Pilot), s.Box.Images.Ref(images.Proxy)}
	node := s.Box.Images.Ref(images.Node)
	if here, err := images.InEngine(ctx, node); err != nil || !here {
		refs = append(refs, node)
	}
	err := images.Reachable(ctx, http.DefaultTransport, refs...)
	if mute, ok := errors.AsType[*images.UnreachableError](err); ok {
		s.Add("images", bootstrap.Fail, "no container registry in reach: "+mute.Error(),
			"use --engine embedded, which needs no images, or give a directory with them: `"+bootstrap.Command(s.Name, "up --images DIR")+"`; "+
				"`make lab` in devbox's source makes one from packages")
		return
	}
	if err != nil {
		s.Add("images", bootstrap.Fail, err.Error(), "")
		return
	}
	s.Add("images", bootstrap.OK, "container registries in reach", "")
}
