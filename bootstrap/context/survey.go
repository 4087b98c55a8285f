package context

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/push"
)

// patience is how long a cluster may take to answer a question.
const patience = 10 * time.Second

// survey is a look at a cluster and at a registry.
type survey struct {
	*bootstrap.Survey
	guest   *bootstrap.Guest
	access  *access
	clients kubernetes.Interface
	objects dynamic.Interface

	install   *install // nil where nothing is
	installed bool     // it is there
}

// look asks one thing after the other, each of which makes sense only where
// those before it do.
func (s *survey) look(ctx context.Context) {
	s.settle()
	for _, ask := range []func(context.Context){s.reach, s.serving, s.place, s.rights, s.names, s.registry, s.nodes, s.ownArchitecture, s.gateway} {
		if len(s.Failed()) > 0 {
			return
		}
		ask(ctx)
	}
}

// settle settles which cluster and which box.
func (s *survey) settle() {
	s.refuseFlags()
	s.Box = s.Record
	if s.Box == nil {
		s.Box = bootstrap.NewBox(s.Name, Engine{}.Name(), s.Dir)
	}
	before := s.Box.Guest
	guest := s.Guest.Over(before)
	if before != nil && (before.Context != guest.Context || before.Namespace != guest.Namespace && s.Guest.Namespace != "" || before.User != guest.User) {
		s.Add("context", bootstrap.Fail, fmt.Sprintf("box %s is in context %s, namespace %s", s.Name, before.Context, before.Namespace),
			"`"+bootstrap.Command(s.Name, "down")+"` first to move it, or choose another --name")
		return
	}
	if wrong := validation.IsDNS1123Label(guest.User); guest.User != "" && len(wrong) > 0 {
		s.Add("user", bootstrap.Fail, fmt.Sprintf("--user %s: %s", guest.User, wrong[0]), "")
		return
	}
	for _, p := range guest.Platforms {
		if os, arch, ok := strings.Cut(p, "/"); !ok || os != "linux" || arch == "" || strings.Contains(arch, "/") {
			s.Add("platform", bootstrap.Fail, fmt.Sprintf("--platform %s: pods of services run on linux/ARCH", p), "write it as linux/amd64 or linux/arm64")
			return
		}
	}
	var err error
	if s.access, err = find(guest.Context); err != nil {
		hint := "give one of them with --context"
		if unknown, ok := errors.AsType[*UnknownContextError](err); ok && len(unknown.Have) == 0 {
			hint = "say which file is your kubeconfig with KUBECONFIG, or leave out --engine context: devbox makes a cluster of its own"
		}
		s.Add("context", bootstrap.Fail, err.Error(), hint)
		return
	}
	guest.Registry = cmp.Or(guest.Registry, os.Getenv("KO_DOCKER_REPO"))
	guest.Namespace = cmp.Or(guest.Namespace, s.access.namespace, metav1.NamespaceDefault)
	if err := guest.Identify(s.Name); err != nil {
		s.Add("box", bootstrap.Fail, err.Error(), "")
		return
	}
	s.guest, s.Box.Guest = &guest, &guest
	s.Add("engine", bootstrap.OK, fmt.Sprintf("the cluster of context %s", guest.Context), "")
}

// refuseFlags refuses what only a cluster of devbox's own has.
func (s *survey) refuseFlags() {
	if s.Mesh != nil {
		s.Add(bootstrap.Mesh, bootstrap.Fail, "the mesh of a cluster that is there already is not devbox's to change", "leave out --mesh")
	}
	if slices.Contains(s.With, bootstrap.Observability) {
		s.Add(bootstrap.Observability, bootstrap.Fail, "what watches a cluster that is there already is not devbox's to change", "leave out --with")
	}
}

// registry asks whether images can be pushed.
func (s *survey) registry(ctx context.Context) {
	if s.guest.Registry == "" {
		s.Add("registry", bootstrap.Fail, "no registry is named, from which the cluster takes the images that are built here",
			"give one that you may push to with --registry HOST/PATH, such as ghcr.io/alice")
		return
	}
	if host, _, _ := strings.Cut(s.guest.Registry, "/"); !strings.ContainsAny(host, ".:") && host != "localhost" {
		s.Add("registry", bootstrap.Fail, fmt.Sprintf("--registry %s does not begin with a host", s.guest.Registry), "Docker's own is docker.io/"+s.guest.Registry)
		return
	}
	service := "devbox"
	if len(s.Services) > 0 {
		service = s.guest.ServiceName(s.Services[0])
	}
	if err := push.User(s.guest.Registry).Check(ctx, service); err != nil {
		hint := ""
		if refused, ok := errors.AsType[*push.RefusedError](err); ok {
			hint = refused.Hint
		}
		s.Add("registry", bootstrap.Fail, err.Error(), hint)
		return
	}
	s.Add("registry", bootstrap.OK, "you may push to "+s.guest.Registry, "")
	for _, base := range s.Services {
		s.Would = append(s.Would, fmt.Sprintf("push to %s/%s", s.guest.Registry, s.guest.ServiceName(base)))
	}
}
