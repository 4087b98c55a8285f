package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
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
	box      *Box
	there    bool          // box has its ports already
	parts    []images.Role // that will watch it

	docker docker.Info
	state  kind.State // of the cluster

	process *process.Process // the box's, nil where none runs
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
		case "engine", "cores", "memory":
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
	if len(s.failed()) > 0 {
		return s
	}
	record := s.record(cfg.Name)
	switch s.engine(ctx, cfg, record) {
	case engineKind:
		s.lookKind(ctx, cfg, record)
	case engineEmbedded:
		s.lookEmbedded(ctx, cfg, record)
	}
	return s
}

// record is what is known of the box, nil where that is nothing.
func (s *survey) record(name string) *Box {
	box, err := read(name)
	if err != nil {
		s.add("box", Fail, err.Error(), "remove that file, and the cluster with `kind delete cluster --name "+name+"`")
	}
	return box
}

// engine says what is to run the box: what the box has, what is asked for, or
// what this machine can. It is "" where there is no answer.
func (s *survey) engine(ctx context.Context, cfg Config, record *Box) string {
	if len(s.failed()) > 0 {
		return ""
	}
	switch {
	case !slices.Contains([]string{engineAuto, engineKind, engineEmbedded}, cfg.Engine):
		s.add("engine", Fail, fmt.Sprintf("there is no engine %q", cfg.Engine), "use --engine kind or --engine embedded")
		return ""
	case record != nil && cfg.Engine != engineAuto && cfg.Engine != record.Engine:
		s.add("engine", Fail, fmt.Sprintf("box %s is of engine %s, not %s", cfg.Name, record.Engine, cfg.Engine),
			"`devbox down` first, or choose another --name")
		return ""
	case record != nil:
		return record.Engine
	case cfg.Engine != engineAuto:
		return cfg.Engine
	}
	if _, err := docker.GetInfo(ctx); err == nil {
		return engineKind
	}
	return engineEmbedded
}

// lookKind surveys what a kind box needs.
func (s *survey) lookKind(ctx context.Context, cfg Config, record *Box) {
	s.askDocker(ctx)
	if len(s.failed()) > 0 {
		return
	}
	s.add("engine", OK, "kind on Docker "+majorMinor(s.docker.ServerVersion), "")
	judge(s, measure(s.docker.DockerRootDir), s.docker.NCPU, needKind)
	if s.docker.CgroupVersion == "1" {
		s.add("cgroups", OK, "cgroup v1, which Kubernetes is about to drop", "")
	}
	s.cluster(ctx, cfg.Name, record)
	if len(s.failed()) > 0 {
		return
	}
	s.ports(ctx, cfg)
	s.images(ctx, cfg)
	if len(s.failed()) == 0 {
		s.watch(ctx, cfg)
	}
}

// lookEmbedded surveys what a box in a process needs.
func (s *survey) lookEmbedded(ctx context.Context, cfg Config, record *Box) {
	said := "embedded engine"
	if cfg.Engine == engineAuto && record == nil {
		_, err := docker.GetInfo(ctx)
		said += ", since " + whyNot(err)
	}
	s.add("engine", OK, said, "")
	if cfg.ImagesDir != "" {
		s.add("images", Warn, "the embedded engine takes no images from "+cfg.ImagesDir, "leave out --images, or use --engine kind")
	}
	dir, err := dirOf(cfg.Name)
	if err != nil {
		return // said already
	}
	s.watchEmbedded(cfg)
	s.box = record
	if s.box == nil {
		s.box = newBox(cfg.Name, engineEmbedded, dir)
	}
	if s.process, err = process.Find(ctx, dir); err != nil {
		s.add("box", Fail, err.Error(), "`devbox down` removes the box")
		return
	}
	s.there = s.process != nil
	parent, err := root()
	if err != nil {
		return // said already
	}
	judge(s, measure(existing(parent)), runtime.NumCPU(), needEmbedded)
	s.ports(ctx, cfg)
}

// configuration looks whether what is known of a box can be kept.
func (s *survey) configuration(name string) {
	dir, err := dirOf(name)
	if err != nil {
		s.add("name", Fail, err.Error(), "")
		return
	}
	// What Up would make is made and unmade, so that a look leaves nothing.
	place := existing(dir)
	probe, err := os.CreateTemp(place, ".devbox-*")
	if err != nil {
		s.findings = append(s.findings, noPlace(place, err))
		return
	}
	probe.Close()
	_ = os.Remove(probe.Name())
	s.add("configuration directory", OK, dir, "")
}

// existing is path, or the nearest directory above it that is there.
func existing(path string) string {
	for {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// askDocker looks whether the container engine can be reached.
func (s *survey) askDocker(ctx context.Context) {
	info, err := docker.GetInfo(ctx)
	if err == nil {
		s.docker = info
		s.add("docker", OK, "Docker "+majorMinor(info.ServerVersion), "")
		return
	}
	hint := "see what `docker info` says"
	switch {
	case errors.Is(err, docker.ErrMissing):
		hint = "install Docker, or put the docker command on the PATH"
	case errors.Is(err, docker.ErrPermission):
		hint = "add yourself to its group with `sudo usermod -aG docker $USER` and log in again"
	case errors.Is(err, docker.ErrStopped):
		hint = "start it: `sudo systemctl start docker`, or Docker Desktop"
	}
	s.add("docker", Fail, whyNot(err), hint+"; or use --engine embedded, which needs none")
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
func (s *survey) cluster(ctx context.Context, name string, box *Box) {
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
		s.box, s.state = newBox(name, engineKind, dir), state
	default:
		s.box, s.state, s.there = box, state, true
	}
}

// images looks whether every image of the box can be had.
func (s *survey) images(ctx context.Context, cfg Config) {
	there := s.there && s.box.Complete
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
			"use --engine embedded, which needs no images, or give a directory with them: `devbox up --images DIR`; "+
				"`make lab` in devbox's source makes one from packages")
		return
	}
	if err != nil {
		s.add("images", Fail, err.Error(), "")
		return
	}
	s.add("images", OK, "container registries in reach", "")
}
