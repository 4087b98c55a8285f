package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/kind"
)

// Level says how bad a Finding is.
type Level string

// The levels: with a Fail there is no box.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is one thing that was looked at before a box is made.
type Finding struct {
	Name    string `json:"name"`
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do about it
}

// Check looks at all that a box needs of this machine, and changes nothing.
func Check(ctx context.Context, cfg Config) []Finding {
	return look(ctx, cfg.withDefaults()).findings
}

// survey is what a look at this machine finds, and the box that would be made
// on it.
type survey struct {
	findings []Finding
	engine   docker.Info
	box      *Box
	state    kind.State
}

func (s *survey) add(name string, level Level, message, hint string) {
	s.findings = append(s.findings, Finding{Name: name, Level: level, Message: message, Hint: hint})
}

func (s *survey) failed() []Finding {
	var failed []Finding
	for _, f := range s.findings {
		if f.Level == Fail {
			failed = append(failed, f)
		}
	}
	return failed
}

// summary is one line of what a look that failed in nothing found.
func (s *survey) summary() string {
	var said []string
	for _, f := range s.findings {
		switch f.Name {
		case "docker", "cores", "memory":
			said = append(said, f.Message)
		}
	}
	return strings.Join(append(said, strings.TrimPrefix(s.box.Gateway(), "http://")), ", ")
}

// look surveys this machine. What cannot be asked because something before it
// failed is left out.
func look(ctx context.Context, cfg Config) *survey {
	s := &survey{}
	s.configuration(cfg.Name)
	if cfg.Engine != engineKind {
		s.add("engine", Fail, fmt.Sprintf("there is no engine %q", cfg.Engine), "use --engine kind")
	}
	s.docker(ctx)
	if len(s.failed()) > 0 {
		return s
	}
	judge(s, measure(s.engine.DockerRootDir), s.engine)
	s.cluster(ctx, cfg.Name)
	if len(s.failed()) > 0 {
		return s
	}
	s.ports(ctx, cfg)
	s.images(ctx, cfg)
	return s
}

// configuration looks whether what is known of a box can be kept.
func (s *survey) configuration(name string) {
	dir, err := dirOf(name)
	if err != nil {
		s.add("name", Fail, err.Error(), "")
		return
	}
	// What Up would make is made and unmade, so that a look leaves nothing.
	existing := dir
	for !isDir(existing) && existing != filepath.Dir(existing) {
		existing = filepath.Dir(existing)
	}
	probe, err := os.CreateTemp(existing, ".devbox-*")
	if err != nil {
		s.findings = append(s.findings, noPlace(existing, err))
		return
	}
	probe.Close()
	_ = os.Remove(probe.Name())
	s.add("configuration directory", OK, dir, "")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// docker looks whether the engine can be reached.
func (s *survey) docker(ctx context.Context) {
	info, err := docker.GetInfo(ctx)
	switch {
	case err == nil:
		s.engine = info
		s.add("docker", OK, "Docker "+majorMinor(info.ServerVersion), "")
	case errors.Is(err, docker.ErrMissing):
		s.add("docker", Fail, "docker is not installed", "install Docker, or put the docker command on the PATH")
	case errors.Is(err, docker.ErrPermission):
		s.add("docker", Fail, "you may not talk to docker", "add yourself to its group with `sudo usermod -aG docker $USER` and log in again")
	case errors.Is(err, docker.ErrStopped):
		s.add("docker", Fail, "docker is not running", "start it: `sudo systemctl start docker`, or Docker Desktop")
	default:
		s.add("docker", Fail, err.Error(), "see what `docker info` says")
	}
}

func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// cluster looks what there is of the box already.
func (s *survey) cluster(ctx context.Context, name string) {
	box, err := read(name)
	if err != nil {
		s.add("box", Fail, err.Error(), "remove that file, and the cluster with `kind delete cluster --name "+name+"`")
		return
	}
	dir, err := dirOf(name)
	if err != nil {
		return // said already
	}
	var spec *kind.Spec
	if box != nil {
		asked := box.spec()
		spec = &asked
	}
	state, err := kind.New(name).State(ctx, spec)
	switch {
	case err != nil:
		s.add("box", Fail, err.Error(), "see what `docker ps --all` says")
	case state == kind.Foreign:
		s.add("box", Fail, fmt.Sprintf("there is a kind cluster %q that devbox did not make", name),
			"choose another --name, or remove it with `kind delete cluster --name "+name+"`")
	case state == kind.Absent:
		s.box, s.state = newBox(name, dir), state
	default:
		s.box, s.state = box, state
	}
}

// images looks whether every image of the box can be had.
func (s *survey) images(ctx context.Context, cfg Config) {
	there := s.state != kind.Absent && s.box.Complete
	if cfg.ImagesDir == "" && there {
		return // the box has what it was made with
	}
	if cfg.ImagesDir == "" {
		s.box.Images = images.Released(kind.DefaultImage)
		s.reach(ctx)
		return
	}
	set, err := images.FromLayout(cfg.ImagesDir)
	if err != nil {
		s.add("images", Fail, err.Error(), "make it again: `make lab` prints a directory that is complete")
		return
	}
	if node := s.box.Images.Ref(images.Node); there && node != set.Ref(images.Node) {
		s.add("images", Warn, "the box keeps the node image that it was made with, "+node, "`devbox down` first for the new one")
		set.Images[images.Node] = s.box.Images.Images[images.Node]
		set.BuiltinCNI, set.Kubernetes = s.box.Images.BuiltinCNI, s.box.Images.Kubernetes
	}
	s.box.Images = set
	s.add("images", OK, "all in "+set.Layout, "")
}

// reach looks whether the container registries of the images that are not
// here answer.
func (s *survey) reach(ctx context.Context) {
	refs := []string{s.box.Images.Ref(images.Pilot), s.box.Images.Ref(images.Proxy)}
	node := s.box.Images.Ref(images.Node)
	if here, err := images.InEngine(ctx, node); err != nil || !here {
		refs = append(refs, node)
	}
	err := images.Reachable(ctx, http.DefaultTransport, refs...)
	if mute, ok := errors.AsType[*images.UnreachableError](err); ok {
		s.add("images", Fail, "no container registry in reach: "+mute.Error(),
			"give a directory with the images: `devbox up --images DIR`; `make lab` in devbox's source makes one from packages")
		return
	}
	if err != nil {
		s.add("images", Fail, err.Error(), "")
		return
	}
	s.add("images", OK, "container registries in reach", "")
}
