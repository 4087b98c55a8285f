package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Networking is what config-network says.
type Networking struct {
	Domain, Tag *template.Template
	// Rollout is how long traffic takes to another revision where the route does
	// not say; 0 is at once.
	Rollout time.Duration
}

// Templates of hosts, as Knative has them.
const (
	domainTemplate = "{{.Name}}.{{.Namespace}}.{{.Domain}}"
	tagTemplate    = "{{.Tag}}-{{.Name}}"
)

// hostValues are what domain-template may ask for, and tagValues tag-template.
type (
	hostValues struct {
		Name, Namespace, Domain string
		Annotations, Labels     map[string]string
	}
	tagValues struct{ Name, Tag string }
)

// ParseNetwork reads the data of config-network. Its errors name the key.
func ParseNetwork(data map[string]string) (Networking, error) {
	var n Networking
	var notDomain, notTag, notRollout error
	n.Domain, notDomain = hostTemplate(data, "domain-template", domainTemplate,
		hostValues{Name: "name", Namespace: "namespace", Domain: "example.com"}, validation.IsDNS1123Subdomain)
	n.Tag, notTag = hostTemplate(data, "tag-template", tagTemplate, tagValues{"name", "tag"}, validation.IsDNS1035Label)
	n.Rollout, notRollout = rollout(data)
	return n, errors.Join(notDomain, notTag, notRollout)
}

// rollout is rollout-duration, which Knative has in seconds.
func rollout(data map[string]string) (time.Duration, error) {
	text := data["rollout-duration"]
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil || seconds < 0 {
		return 0, fmt.Errorf("rollout-duration: %q must be a whole number of seconds from 0, such as 60", text)
	}
	return time.Duration(seconds) * time.Second, nil
}

// hostTemplate is the template of a key, which must make a name of an example.
func hostTemplate(data map[string]string, key, byDefault string, example any, check func(string) []string) (*template.Template, error) {
	text := data[key]
	if text == "" {
		text = byDefault
	}
	t, err := template.New(key).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	var made strings.Builder
	if err := t.Execute(&made, example); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if wrong := check(made.String()); len(wrong) > 0 {
		return nil, fmt.Errorf("%s: makes %q: %s", key, made.String(), strings.Join(wrong, ", "))
	}
	return t, nil
}

// Names says what routes are called from outside.
type Names struct {
	Domains Domains
	Network Networking
}

// DefaultNames are the names of a box whose ConfigMaps say nothing but its
// domain.
func DefaultNames(domain string) Names {
	network, err := ParseNetwork(nil)
	if err != nil {
		panic(err) // a constant
	}
	return Names{Domains{Otherwise: domain}, network}
}

// Label is the first label of a tag's host, and the name of its placeholder
// Service; of no tag it is the route's name.
func (n Names) Label(tag, route string) string {
	if tag == "" {
		return route
	}
	return made(n.Network.Tag, tagValues{route, tag})
}

// Domain is the domain of a route; it may be the cluster's own.
func (n Names) Domain(r *servingv1.Route) string { return n.Domains.Of(r.Labels) }

// Host is the host of a route, or of a tag of it, in a domain.
func (n Names) Host(r *servingv1.Route, tag, domain string) string {
	return strings.ToLower(made(n.Network.Domain, hostValues{n.Label(tag, r.Name), r.Namespace, domain, r.Annotations, r.Labels}))
}

// made is what a template makes. It made a name of an example, so that what it
// cannot make is told as a host that nobody can have.
func made(t *template.Template, of any) string {
	var text strings.Builder
	if err := t.Execute(&text, of); err != nil {
		return "invalid: " + err.Error()
	}
	return text.String()
}

// Wrong is what is wrong with a host that the templates made, if anything.
func Wrong(host string) error {
	if wrong := validation.IsDNS1123Subdomain(host); len(wrong) > 0 {
		return fmt.Errorf("%q is no host: %s", host, strings.Join(wrong, ", "))
	}
	for label := range strings.SplitSeq(host, ".") {
		if wrong := validation.IsDNS1123Label(label); len(wrong) > 0 {
			return fmt.Errorf("%q is no host: %s", host, strings.Join(wrong, ", "))
		}
	}
	return nil
}
