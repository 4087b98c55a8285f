package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// scheme begins the name of an image that ko is to build.
const scheme = "ko://"

// Programs are the import paths of the main packages that a Service runs, each
// once, in the order of its containers: those that its images name, and own,
// that of the folder its manifest lies in, where a container is left to it.
func Programs(s *servingv1.Service, own string) ([]string, error) {
	var programs []string
	named, err := WithPrograms(s, own)
	if err != nil {
		return nil, err
	}
	for _, c := range described(&named.Spec.Template.Spec.PodSpec) {
		if program, ok := strings.CutPrefix(c.Image, scheme); ok && !slices.Contains(programs, program) {
			programs = append(programs, program)
		}
	}
	return programs, nil
}

// ServingProgram is the import path of the main package that takes a Service's
// requests, and empty where that is an image which is built already.
func ServingProgram(s *servingv1.Service, own string) string {
	named, err := WithPrograms(s, own)
	if err != nil {
		return ""
	}
	c := named.Spec.Template.Spec.ServingContainer()
	if c == nil {
		return ""
	}
	program, ok := strings.CutPrefix(c.Image, scheme)
	if !ok {
		return ""
	}
	return program
}

// errNoContainer is a mistake in a service.yaml that takes the program's import
// path to see.
var errNoContainer = errors.New("of several containers none has the image")

// withImages is the Service with an image for each of its programs.
func withImages(manifest *servingv1.Service, own string, images map[string]string) (*servingv1.Service, error) {
	s, err := WithPrograms(manifest, own)
	if err != nil {
		return nil, err
	}
	for _, c := range described(&s.Spec.Template.Spec.PodSpec) {
		program, ok := strings.CutPrefix(c.Image, scheme)
		if !ok {
			continue
		}
		if images[program] == "" {
			return nil, fmt.Errorf("%s: there is no image of %s", s.Name, c.Image)
		}
		c.Image = images[program]
	}
	return s, nil
}

// WithPrograms is the Service with a full import path in each image that ko is
// to build.
func WithPrograms(manifest *servingv1.Service, own string) (*servingv1.Service, error) {
	s := manifest.DeepCopy()
	all := described(&s.Spec.Template.Spec.PodSpec)
	if slices.ContainsFunc(all, func(c *servingv1.Container) bool { return c.Image == scheme+own }) {
		return s, nil
	}
	if c := left(&s.Spec.Template.Spec.PodSpec); c != nil {
		c.Image = scheme + own
	} else if !slices.ContainsFunc(all, func(c *servingv1.Container) bool { return strings.HasPrefix(c.Image, scheme) }) {
		return nil, fmt.Errorf("choosing the container of %s: %w %s%s", s.Name, errNoContainer, scheme, own)
	}
	return s, nil
}

// left is the container that is left to the program of the manifest's folder:
// one without an image, or with one that names it as a path, or else the only
// one, unless that names another program.
func left(p *servingv1.PodSpec) *servingv1.Container {
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Image == "" || strings.HasPrefix(c.Image, scheme+".") {
			return c
		}
	}
	if len(p.Containers) == 1 && !strings.HasPrefix(p.Containers[0].Image, scheme) {
		return &p.Containers[0]
	}
	return nil
}

// described are all containers of a pod, those that run first before those that run on.
func described(p *servingv1.PodSpec) []*servingv1.Container {
	var all []*servingv1.Container
	for _, list := range [][]servingv1.Container{p.InitContainers, p.Containers} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	return all
}
