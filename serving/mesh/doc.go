// Package mesh gives the activator an identity in Istio's mesh, so that it
// speaks the mesh's mutual TLS itself and goes on addressing pods directly.
//
//	API server ──token for istio-ca──┐
//	                                 v
//	identity.go  Identity <──certificate── authority.go ──gRPC──> istiod :15012
//	                 |                      (the one user of Istio's library)
//	                 |── Server ──> listener.go: what comes to the activator, in
//	                 |              the clear or within TLS by its first byte
//	                 └── Client ──> what goes to a pod that has a sidecar
//
// Who is on the other side is said by SPIFFE names (spiffe.go): a chain of
// certificates that leads to the mesh's root, and in the leaf the name of a
// service account of the mesh's trust domain. Names of hosts mean nothing.
//
// What is asked for is in the ConfigMap config-mesh (mode.go).
package mesh
