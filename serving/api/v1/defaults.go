package v1

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
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

// Defaults are what absent fields of a revision mean, and the most that fields
// may ask for: Knative's config-defaults.
type Defaults struct {
	TimeoutSeconds              int64
	ResponseStartTimeoutSeconds int64 // 0 is TimeoutSeconds
	IdleTimeoutSeconds          int64
	ContainerConcurrency        int64
	ServiceLinks                bool
	Container, InitContainer    string // names
	Resources                   ResourceRequirements

	MaxTimeoutSeconds, MaxContainerConcurrency int64
	// UnlimitedConcurrency says that a container may take requests without limit.
	UnlimitedConcurrency bool
}

// KnativeDefaults are those of a box whose config-defaults says nothing.
func KnativeDefaults() Defaults {
	return Defaults{
		TimeoutSeconds: DefaultTimeoutSeconds, IdleTimeoutSeconds: DefaultIdleTimeoutSeconds,
		ContainerConcurrency: DefaultContainerConcurrency, Container: UserContainer, InitContainer: InitContainer,
		MaxTimeoutSeconds: MaxTimeoutSeconds, MaxContainerConcurrency: MaxContainerConcurrency, UnlimitedConcurrency: true,
	}
}

// As are d with what r has for absent fields: by them another template can be
// compared with one whose defaults were others.
func (d Defaults) As(r *RevisionSpec) Defaults {
	d.TimeoutSeconds, d.ResponseStartTimeoutSeconds = *r.TimeoutSeconds, *r.ResponseStartTimeoutSeconds
	d.IdleTimeoutSeconds, d.ContainerConcurrency = *r.IdleTimeoutSeconds, *r.ContainerConcurrency
	d.ServiceLinks = *r.EnableServiceLinks
	return d
}

// SetDefaults fills in every absent field that has a meaning.
func (s *Service) SetDefaults() { s.setDefaultsOf(KnativeDefaults()) }

func (s *Service) setDefaultsOf(d Defaults) {
	s.Spec.Template.Spec.SetDefaultsOf(d)
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
func (r *RevisionSpec) SetDefaults() { r.SetDefaultsOf(KnativeDefaults()) }

// SetDefaultsOf is SetDefaults with the defaults of a box.
func (r *RevisionSpec) SetDefaultsOf(d Defaults) {
	if r.ContainerConcurrency == nil {
		r.ContainerConcurrency = new(d.ContainerConcurrency)
	}
	if r.TimeoutSeconds == nil || *r.TimeoutSeconds == 0 {
		r.TimeoutSeconds = new(d.TimeoutSeconds)
	}
	if r.ResponseStartTimeoutSeconds == nil {
		r.ResponseStartTimeoutSeconds = new(min(cmp.Or(d.ResponseStartTimeoutSeconds, *r.TimeoutSeconds), *r.TimeoutSeconds))
	}
	if r.IdleTimeoutSeconds == nil {
		r.IdleTimeoutSeconds = new(min(d.IdleTimeoutSeconds, *r.TimeoutSeconds))
	}
	r.setPodDefaults(d)
}

func (p *PodSpec) setPodDefaults(d Defaults) {
	if p.EnableServiceLinks == nil {
		p.EnableServiceLinks = new(d.ServiceLinks)
	}
	taken := map[string]bool{}
	for _, c := range slices.Concat(p.Containers, p.InitContainers) {
		taken[c.Name] = true
	}
	nameContainers(p.Containers, d.Container, taken)
	nameContainers(p.InitContainers, d.InitContainer, taken)
	for i := range p.Containers {
		p.Containers[i].setDefaults(d)
	}
	if c := p.ServingContainer(); c != nil {
		if c.ReadinessProbe == nil {
			c.ReadinessProbe = &Probe{}
		}
		c.ReadinessProbe.setReadinessDefaults()
	}
}

// nameContainers names the unnamed ones: the only container gets the name as
// it is, of several each unnamed one the next of name-0, name-1 and so on that
// nobody has.
func nameContainers(cs []Container, name string, taken map[string]bool) {
	next := 0
	for i := range cs {
		if cs[i].Name != "" {
			continue
		}
		own := name
		for len(cs) > 1 && own == name || taken[own] {
			own = childName(name, fmt.Sprintf("-%d", next), validation.DNS1123LabelMaxLength)
			next++
		}
		cs[i].Name, taken[own] = own, true
	}
}

func (c *Container) setDefaults(d Defaults) {
	fill(&c.Resources.Requests, d.Resources.Requests)
	fill(&c.Resources.Limits, d.Resources.Limits)
	for i := range c.Ports {
		c.Ports[i].ContainerPort = cmp.Or(c.Ports[i].ContainerPort, DefaultUserPort)
	}
}

// fill adds to a list what it does not say.
func fill(list *corev1.ResourceList, from corev1.ResourceList) {
	for name, q := range from {
		if _, said := (*list)[name]; said {
			continue
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = q
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
