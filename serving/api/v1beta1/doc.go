// Package v1beta1 holds the nouns of devbox's serving platform that are
// compatible with Knative Serving v1beta1: DomainMapping.
//
//	DomainMapping ──has──> a host, which is its name
//	            └──ref──> Service or Route, whose traffic the host gets
//
// The API server enforces what the markers here say: the
// CustomResourceDefinition of charts/serving is generated from them. That a
// reference stays in its namespace is said by the chart's admission policy,
// because a schema does not see an object's namespace.
//
// +kubebuilder:object:generate=true
// +groupName=serving.knative.dev
package v1beta1

// The path of controller-gen's module is relative to this folder.
//go:generate go tool -modfile=../../../test/tools/controller-gen.mod controller-gen object crd:generateEmbeddedObjectMeta=true,maxDescLen=120,omitToolVersion=true paths=. output:crd:dir=../../../charts/serving/templates/crds
