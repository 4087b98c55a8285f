package config_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
)

func TestCheckAndParse(t *testing.T) {
	parse := map[string]func(map[string]string) error{
		config.Domain:     func(d map[string]string) error { _, err := config.ParseDomains(d, "example.com"); return err },
		config.Network:    func(d map[string]string) error { _, err := config.ParseNetwork(d); return err },
		config.Defaults:   func(d map[string]string) error { _, err := config.ParseDefaults(d); return err },
		config.Deployment: func(d map[string]string) error { _, err := config.ParseDeployment(d); return err },
		config.GC:         func(d map[string]string) error { _, err := config.ParseGC(d); return err },
		config.Features:   config.ParseFeatures,
	}
	for _, c := range []struct {
		name, key, value string
		want             string // a part of what is said; "" is nothing
	}{
		{config.Domain, "box.test", "", ""},
		{config.Domain, "box.test", "selector: {app: shop}", ""},
		{config.Domain, "Box_Test", "", "Box_Test: a lowercase RFC 1123 subdomain"},
		{config.Domain, "box.test", "selektor: {}", "box.test: must be empty, or a selector"},
		{config.Network, "domain-template", "{{.Name}}-{{.Namespace}}.{{.Domain}}", ""},
		{config.Network, "domain-template", "{{.Nobody}}", "domain-template: "},
		{config.Network, "domain-template", "{{.Name}", "domain-template: "},
		{config.Network, "tag-template", "{{.Tag}}.{{.Name}}", `tag-template: makes "tag.name"`},
		{config.Network, "external-domain-tls", "Enabled", `external-domain-tls: "Enabled" must be disabled`},
		{config.Network, "external-domain-tls", "Disabled", ""},
		{config.Network, "rollout-duration", "0", ""},
		{config.Network, "rollout-duration", "60", ""},
		{config.Network, "rollout-duration", "-1", `rollout-duration: "-1" must be a whole number of seconds from 0`},
		{config.Network, "rollout-duration", "60s", `rollout-duration: "60s" must be a whole number of seconds from 0`},
		{config.Network, "rollout-duration", "0.5", `rollout-duration: "0.5" must be a whole number of seconds from 0`},
		{config.Network, "rollout-duration", "9999999999", `rollout-duration: "9999999999" must be a whole number of seconds from 0`},
		{config.Network, "nobody-knows", "x", "nobody-knows: is no key of config-network"},
		{config.Defaults, "max-revision-timeout-seconds", "3600", ""},
		{config.Defaults, "max-revision-timeout-seconds", "soon", "max-revision-timeout-seconds: "},
		{config.Defaults, "revision-timeout-seconds", "601", "revision-timeout-seconds: 601 must be at most max-revision-timeout-seconds, 600"},
		{config.Defaults, "revision-memory-limit", "much", "revision-memory-limit: "},
		{config.Defaults, "container-name-template", "A_B", "container-name-template: "},
		{config.Defaults, "allow-container-concurrency-zero", "false", "container-concurrency: must be at least 1"},
		{config.Deployment, "progress-deadline", "2m", ""},
		{config.Deployment, "progress-deadline", "2", "progress-deadline: "},
		{config.Deployment, "queue-sidecar-image", "mine", `queue-sidecar-image: "mine" must be empty`},
		{config.GC, "min-non-active-revisions", "3", ""},
		{config.GC, "min-non-active-revisions", "11", "min-non-active-revisions: 11 must be at most"},
		{config.GC, "retain-since-create-time", "disabled", ""},
		{config.GC, "retain-since-create-time", "long", "retain-since-create-time: "},
		{config.Features, "kubernetes.podspec-init-containers", "Disabled", ""},
		{config.Features, "kubernetes.podspec-init-containers", "perhaps", "kubernetes.podspec-init-containers: "},
		{config.Features, "kubernetes.podspec-nodeselector", "enabled", `kubernetes.podspec-nodeselector: "enabled" must be disabled: a box has one node`},
		{config.Features, "_example", "anything", ""},
	} {
		data := map[string]string{c.key: c.value}
		cm := &corev1.ConfigMap{Data: data}
		cm.Name = c.name
		err := config.Check(cm)
		if err == nil {
			err = parse[c.name](data)
		}
		if got := fmt.Sprint(err); (c.want == "") != (err == nil) || !strings.Contains(got, c.want) {
			t.Errorf("%s, %s: %s: got %q, want %q", c.name, c.key, c.value, got, c.want)
		}
	}
}

// A thousand mistakes are told in a few words, and bytes are no text.
func TestCheckIsBrief(t *testing.T) {
	cm := &corev1.ConfigMap{Data: map[string]string{}, BinaryData: map[string][]byte{"domain-template": {1}}}
	cm.Name = config.Network
	for i := range 1000 {
		cm.Data[fmt.Sprintf("key-%d", i)] = "x"
	}
	got := config.Check(cm).Error()
	if !strings.Contains(got, "domain-template: is under binaryData") || !strings.Contains(got, "and 996 more") || len(got) > 600 {
		t.Errorf("got %d characters: %s", len(got), got)
	}
}

// Of two domains for the same routes neither is taken: the alphabet is nobody's
// wish.
func TestDomainsAlike(t *testing.T) {
	for _, c := range []struct {
		a, b, want string
	}{
		{"", "", "b.test: has the selector of a.test, which is every route's: "},
		{"", "selector: {}", "b.test: has the selector of a.test, which is every route's: "},
		{"selector: {app: shop, tier: web}", "selector: {tier: web, app: shop}", "b.test: has the selector of a.test, app=shop,tier=web: "},
		{"", "selector: {app: shop}", ""},
		{"selector: {app: shop}", "selector: {app: other}", ""},
		{"selector: {app: shop}", "selector: {app: shop, tier: web}", ""},
	} {
		_, err := config.ParseDomains(map[string]string{"a.test": c.a, "b.test": c.b}, "example.com")
		if got := fmt.Sprint(err); (c.want == "") != (err == nil) || !strings.Contains(got, c.want) {
			t.Errorf("%q and %q: got %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	route := &servingv1.Route{}
	route.Name, route.Namespace, route.Labels = "hello", "default", map[string]string{"app": "shop", "tier": "web"}
	domains, err := config.ParseDomains(map[string]string{
		"b.test": "", "shop.test": "selector: {app: shop}", "web.test": "selector: {app: shop, tier: web}", "other.test": "selector: {app: other, a: b, c: d}",
	}, "a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	network, err := config.ParseNetwork(map[string]string{"domain-template": "{{.Name}}-{{.Namespace}}.{{.Domain}}", "tag-template": "{{.Name}}-at-{{.Tag}}"})
	if err != nil {
		t.Fatal(err)
	}
	names := config.Names{Domains: domains, Network: network}
	if got := names.Host(route, "blue", names.Domain(route)); got != "hello-at-blue-default.web.test" {
		t.Errorf("the tag's host is %s", got)
	}
	route.Labels = nil
	if got := names.Domain(route); got != "b.test" {
		t.Errorf("without labels the domain is %s; the box's own comes after all others", got)
	}
	delete(domains.Selectors, "b.test")
	if got := names.Domain(route); got != "a.example.com" {
		t.Errorf("where no domain is for all the route's is %s", got)
	}
	if err := config.Wrong(strings.Repeat("a", 64) + ".test"); err == nil {
		t.Error("a label of 64 characters is taken for a host")
	}
}
