package v1

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// HostsAnnotation, in the status of a Route and of its Service, has the hosts of
// the route (under "") and of its tags as JSON, where the box's ConfigMaps make
// others than Knative's own templates do.
const HostsAnnotation = "devbox.dev/hosts"

// ServiceHost is the host by which the gateway knows a Service, or a tag of it: the
// one in its status, as the box's ConfigMaps have it, and before that has one the
// host that domain makes.
func ServiceHost(s *Service, tag, domain string) string {
	address := s.Status.URL
	if tag != "" {
		address = ""
		for _, t := range s.Status.Traffic {
			if t.Tag == tag {
				address = t.URL
			}
		}
	}
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return PublicHost(tag, s.Name, s.Namespace, domain)
}

// browsers is the domain that every browser, and curl, takes to this machine.
const browsers = "localhost"

// BrowserHost is the host of a Service by which a browser on this machine finds
// it without any set-up: of the hosts that its Route has, as its status says, the
// one under .localhost. Where none is, host is empty and why says the reason.
func BrowserHost(s *Service) (host, why string) {
	route := &Route{ObjectMeta: s.ObjectMeta, Status: RouteStatus{Status: s.Status.Status}}
	for _, host := range RouteHosts(route, "", s.Status.URL) {
		if strings.HasSuffix(host, "."+browsers) {
			return host, ""
		}
	}
	if u, err := url.Parse(s.Status.URL); s.Labels[VisibilityLabel] == VisibilityClusterLocal ||
		err == nil && strings.HasSuffix(u.Hostname(), "."+ClusterDomain) {
		return "", "it is for the cluster only"
	}
	return "", "none of its hosts ends in ." + browsers + ": domain-template in config-network does not end in .{{.Domain}}"
}

// RouteHosts are the hosts of a route, or of a tag of it, whose address its
// status has, as they are in force.
func RouteHosts(r *Route, tag, address string) []string {
	var said map[string][]string
	if text, ok := r.Status.Annotations[HostsAnnotation]; ok && json.Unmarshal([]byte(text), &said) == nil {
		return said[tag]
	}
	return HostsOf(r, tag, address)
}

// HasHost says whether a host is the route's, or one of its tags', as they are
// in force.
func (r *Route) HasHost(host string) bool {
	if !r.DeletionTimestamp.IsZero() {
		return false
	}
	for _, t := range append([]TrafficTarget{{URL: r.Status.URL}}, r.Status.Traffic...) {
		if slices.Contains(RouteHosts(r, t.Tag, t.URL), host) {
			return true
		}
	}
	return false
}

// HostsOf are the hosts of a route, or of a tag of it, by Knative's own
// templates: the ones inside the cluster and, unless it is for the cluster only,
// the one under .localhost that every browser resolves to this machine, and the
// one in its address.
func HostsOf(r *Route, tag, address string) []string {
	hosts := ClusterHosts(tag, r.Name, r.Namespace)
	if r.Labels[VisibilityLabel] != VisibilityClusterLocal {
		hosts = append(hosts, PublicHost(tag, r.Name, r.Namespace, browsers))
	}
	if u, err := url.Parse(address); err == nil && u.Host != "" && !slices.Contains(hosts, u.Hostname()) {
		hosts = append(hosts, strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")))
	}
	return hosts
}
