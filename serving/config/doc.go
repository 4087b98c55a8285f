// Package config reads Knative's ConfigMaps, those in the namespace
// knative-serving by which a whole box is told something.
//
//	keys.go      every key there is, what it does here, and which values it may have
//	check.go     what is wrong with a ConfigMap
//	domains.go   config-domain
//	network.go   config-network, and the hosts that come of both
//	defaults.go  config-defaults
//	deployment.go, gc.go
//
// A value that asks for what a box has not is refused by its key's name, as is a
// key that nobody knows: nothing is taken and then ignored. A key that begins
// with an underscore, as _example does, is for people.
package config
