package apiserver

import (
	"k8s.io/apimachinery/pkg/util/sets"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// What each cut gains, in one process with etcd and both controllers, on a
// machine with two busy cores. Memory is what is the process' own, eight
// seconds after the start; the program itself maps another 100 MiB.
//
//	                                   memory    goroutines   ready after
//	everything                         202 MiB        3250         4.3 s
//	these API groups and plugins       128 MiB        2010         1.5 s
//	NoOpenAPI                           70 MiB        1990         0.7 s
//	these hooks                         70 MiB        1910         0.1 s of CPU less
//
// A group may go only with every plugin and hook that has an informer of it:
// readiness waits for informers for ever.

// cut leaves out the API groups and the admission that the box has no use
// for.
func cut(s *options.ServerRunOptions, o Options) {
	s.APIEnablement.RuntimeConfig = served(o)
	registerUsers(s.Admission)
	s.Admission.GenericAdmission.DisablePlugins = unused(s.Admission.GenericAdmission.RecommendedPluginOrder)
	// One user does not need to be protected from another.
	s.Features.EnablePriorityAndFairness = false
	s.Features.EnableProfiling = false
}

// served are the API versions that the box serves, and no others.
func served(o Options) cliflag.ConfigurationMap {
	versions := cliflag.ConfigurationMap{"api/all": "false"}
	for _, version := range []string{
		"v1",
		"admissionregistration.k8s.io/v1", // admission policies
		"apiextensions.k8s.io/v1",         // our kinds
		"apiregistration.k8s.io/v1",       // the aggregator, which lists our kinds
		"authentication.k8s.io/v1",        // kubectl auth whoami
		"authorization.k8s.io/v1",         // kubectl auth can-i
		"coordination.k8s.io/v1",          // leases
		"discovery.k8s.io/v1",             // an informer of the API server's own
		"events.k8s.io/v1",
		"networking.k8s.io/v1", // ranges of cluster IPs
	} {
		versions[version] = "true"
	}
	if o.Cluster {
		for _, version := range []string{"apps/v1", "autoscaling/v2", "policy/v1", "rbac.authorization.k8s.io/v1"} {
			versions[version] = "true"
		}
	}
	return versions
}

// unused are all admission plugins but those the box needs.
func unused(all []string) []string {
	used := sets.New(
		usersPlugin,
		"NamespaceLifecycle", // nothing new in a namespace that is being deleted
		"MutatingAdmissionPolicy",
		"ValidatingAdmissionPolicy",
	)
	var unused []string
	for _, name := range all {
		if !used.Has(name) {
			unused = append(unused, name)
		}
	}
	return unused
}

// cutConfig leaves out what would run beside the API server for nothing.
func cutConfig(c *app.Config, o Options) {
	// All three servers of the chain share the set of hooks.
	c.KubeAPIs.ControlPlane.Generic.DisabledPostStartHooks.Insert(
		// for several API servers
		"peer-endpoint-reconciler-controller",
		"start-kube-apiserver-identity-lease-controller",
		"start-kube-apiserver-identity-lease-garbage-collector",
		// for API servers of others behind this one
		"start-cluster-authentication-info-controller",
		"apiservice-status-remote-available-controller",
		// for tokens kept in Secrets
		"start-legacy-token-tracking-controller",
	)
	if o.NoOpenAPI {
		c.KubeAPIs.ControlPlane.Generic.SkipOpenAPIInstallation = true
		c.ApiExtensions.GenericConfig.SkipOpenAPIInstallation = true
		c.Aggregator.GenericConfig.SkipOpenAPIInstallation = true
	}
}
