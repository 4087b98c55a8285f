// Package guest deploys to a cluster that is there already, as several people
// with a devbox each: a kind cluster of two nodes that devbox did not make, with
// a registry beside it that asks for a password, and nothing in it at first.
//
//	mallory: refused, with what is missing
//	alice:   up --install
//	bob:                 up --user bob, edits on either node, every command
//	alice: down, which keeps what bob needs <--/   --> down, nothing is left
//	dan:     up --install onto an Istio of somebody's, behind a load balancer
//
// Carol is where upstream's Knative Serving is played by the test, on an API
// server alone.
package guest
