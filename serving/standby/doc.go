// Package standby is how a pod waits for what it is to be. The controller keeps
// a pod whose containers have not begun: a program of this package waits in the
// user's container, and queue-proxy waits for its settings. An Order makes a
// revision's pod of it, in the time that a program takes to start.
//
//	controller                        pod
//	  Desk  <── GET, token ──────────  Wait        one in each container, which connects out:
//	   │ Admit: layers known already ─> Place       no port of the pod is open
//	   │ Prepare: what was just pushed ─> Place
//	   │ Send: Order ────────────────>  Place ── Become ──exec──> the user's program, same process
//	   └ failed <── POST, words ──────  Report
//
// Whoever waits takes orders from the controller alone, since it asks for them,
// and the controller knows whom it tells by a token that was made for that one
// pod. A layer is taken only if it has the digest that the order names, and only
// what lies under Roots is written.
//
// It is the standard library only, as it starts in pods.
package standby
