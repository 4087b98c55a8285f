package v1

import (
	"cmp"
	"fmt"
)

// What an absent field means. The schema of charts/serving says the same
// where a schema can; SetDefaults says the rest, and all of it where no API
// server has seen the object yet.
const (
	DefaultContainerConcurrency = 0
	DefaultTimeoutSeconds       = 300
	DefaultIdleTimeoutSeconds   = 0
	MaxContainerConcurrency     = 1000
	MaxTimeoutSeconds           = 600
)

// SetDefaults fills in every absent field that has a meaning.
func (s *Service) SetDefaults() {
	s.Spec.Template.Spec.SetDefaults()
	if len(s.Spec.Traffic) == 0 {
		s.Spec.Traffic = []TrafficTarget{{Percent: new(int64(100))}}
	}
	s.Spec.setTrafficDefaults()
}

// SetDefaults fills in every absent field that has a meaning.
func (c *Configuration) SetDefaults() { c.Spec.Template.Spec.SetDefaults() }

// SetDefaults fills in every absent field that has a meaning.
func (r *Revision) SetDefaults() { r.Spec.SetDefaults() }

// SetDefaults fills in every absent field that has a meaning.
func (r *Route) SetDefaults() { r.Spec.setTrafficDefaults() }

// setTrafficDefaults makes a target without a revision follow the latest.
func (r *RouteSpec) setTrafficDefaults() {
	for i := range r.Traffic {
		t := &r.Traffic[i]
		if t.LatestRevision == nil {
			t.LatestRevision = new(t.RevisionName == "")
		}
	}
}

// SetDefaults fills in every absent field that has a meaning.
func (r *RevisionSpec) SetDefaults() {
	if r.ContainerConcurrency == nil {
		r.ContainerConcurrency = new(int64(DefaultContainerConcurrency))
	}
	if r.TimeoutSeconds == nil || *r.TimeoutSeconds == 0 {
		r.TimeoutSeconds = new(int64(DefaultTimeoutSeconds))
	}
	if r.ResponseStartTimeoutSeconds == nil {
		r.ResponseStartTimeoutSeconds = new(*r.TimeoutSeconds)
	}
	if r.IdleTimeoutSeconds == nil {
		r.IdleTimeoutSeconds = new(int64(DefaultIdleTimeoutSeconds))
	}
	r.setPodDefaults()
}

func (p *PodSpec) setPodDefaults() {
	if p.EnableServiceLinks == nil {
		p.EnableServiceLinks = new(false)
	}
	nameContainers(p.InitContainers, InitContainer)
	nameContainers(p.Containers, UserContainer)
	for i := range p.Containers {
		p.Containers[i].setDefaults()
	}
	if c := p.ServingContainer(); c != nil {
		if c.ReadinessProbe == nil {
			c.ReadinessProbe = &Probe{}
		}
		c.ReadinessProbe.setReadinessDefaults()
	}
}

// nameContainers names the unnamed ones after the template: the first gets
// the name as it is, each further one its place in the list as well.
func nameContainers(cs []Container, name string) {
	for i := range cs {
		if cs[i].Name != "" {
			continue
		}
		cs[i].Name = name
		if i > 0 {
			cs[i].Name = fmt.Sprintf("%s-%d", name, i)
		}
	}
}

func (c *Container) setDefaults() {
	for i := range c.Ports {
		c.Ports[i].ContainerPort = cmp.Or(c.Ports[i].ContainerPort, DefaultUserPort)
	}
}

// setReadinessDefaults makes "no probe" mean "accepts connections". A period
// of 0 stays 0: it asks for the aggressive probe, which has no other numbers.
func (p *Probe) setReadinessDefaults() {
	if p.HTTPGet == nil && p.TCPSocket == nil && p.GRPC == nil && p.Exec == nil {
		p.TCPSocket = &TCPSocketAction{}
	}
	p.SuccessThreshold = cmp.Or(p.SuccessThreshold, 1)
	if p.PeriodSeconds > 0 {
		p.TimeoutSeconds = cmp.Or(p.TimeoutSeconds, 1)
		p.FailureThreshold = cmp.Or(p.FailureThreshold, 3)
	}
}
