package v1

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
)

// RevisionName is the name of the Revision that a Configuration stamps at a
// generation, where its template brings no name of its own.
func RevisionName(configuration string, generation int64) string {
	return childName(configuration, fmt.Sprintf("-%05d", generation), validation.DNS1035LabelMaxLength)
}

// generatedSuffix is how many characters the API server adds to a
// generateName, and shortens the prefix for when they do not fit.
const generatedSuffix = 5

// PodPrefix is the generateName of a revision's pods. It reads like the pods
// of a Deployment because tools and Knative's own tests look for that.
func PodPrefix(revision string) string {
	return childName(revision, "-deployment-", validation.DNS1035LabelMaxLength-generatedSuffix)
}

// IngressName is the name of the object that announces a Route to the gateway.
func IngressName(route string) string {
	return childName(route, "-ingress", validation.DNS1035LabelMaxLength)
}

// TaggedName is the first label of a tag's host, and the name of the tag's
// placeholder Service.
func TaggedName(tag, route string) string {
	if tag == "" {
		return route
	}
	return tag + "-" + route
}

// PublicHost is the host that a Route, or a tag of it, answers on from outside.
func PublicHost(tag, route, namespace, domain string) string {
	return TaggedName(tag, route) + "." + namespace + "." + domain
}

// ClusterHosts are the hosts it answers on inside the cluster, longest first.
func ClusterHosts(tag, route, namespace string) []string {
	short := TaggedName(tag, route) + "." + namespace
	return []string{short + ".svc.cluster.local", short + ".svc", short}
}

// ClusterDomain is the last part of the hosts inside the cluster.
const ClusterDomain = "svc.cluster.local"

// URL is the address of a host as status writes it.
func URL(host string) string { return "http://" + host }

// childName is parent+suffix, or, where that is longer than limit, the
// parent's beginning and a hash that keeps it apart from its neighbours.
func childName(parent, suffix string, limit int) string {
	if len(parent)+len(suffix) <= limit {
		return parent + suffix
	}
	sum := sha256.Sum256([]byte(parent + suffix))
	hash := "-" + hex.EncodeToString(sum[:5])
	return parent[:limit-len(hash)-len(suffix)] + hash + suffix
}
