// Package guest deploys to a cluster that is there already, as several people
// with a devbox each: a kind cluster of two nodes that devbox did not make, with
// a registry beside it, and nothing in it at first.
//
//	alice: refused, with what is missing --> up --install
//	bob:                                      up --user bob, edits on either node
//	alice: down, which keeps what bob needs <--/   --> down, nothing is left
package guest
