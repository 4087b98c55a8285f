// Package v1 holds the nouns of devbox's serving platform, compatible with
// Knative Serving v1: Service, Configuration, Route and Revision.
//
//	Service ──owns──> Configuration ──stamps──> Revision ──> Pods
//	      └──owns──> Route ──splits traffic over──────┘
//
// A noun knows five things, and each has a file of its own:
//
//	names.go, labels.go   what its children, hosts and URLs are called
//	defaults.go           what an absent field means
//	validation.go         which values make no sense, in the words of field errors
//	conditions.go         how its conditions add up to Ready
//	kubernetes.go         what it looks like as a Kubernetes pod
//
// The API server enforces what a schema can say from the same types: the
// CustomResourceDefinitions of charts/serving are generated from the markers
// here. Validate says it again where no API server is at hand, and with the
// name of the file in hand (Decode).
//
// +kubebuilder:object:generate=true
// +groupName=serving.knative.dev
package v1

// The path of controller-gen's module is relative to this folder.
//go:generate go tool -modfile=../../../test/tools/controller-gen.mod controller-gen object crd:generateEmbeddedObjectMeta=true,maxDescLen=120,omitToolVersion=true paths=. output:crd:dir=../../../charts/serving/templates/crds
