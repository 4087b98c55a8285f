// Package delve runs a service under Delve, the debugger, and leads debuggers
// to it.
//
//	editor, dlv connect ──> Door, the same address for as long as devbox runs
//	                          └─ the API's port-forward ──> the newest pod
//	                               127.0.0.1:port  dlv exec --headless
//	                                                 └─ the program
//
// Delve starts the program as its own child, which takes no right that a
// container has not, and lets it run; it stops where a debugger says, or at a
// panic. While it stands nothing may happen to it: Template is a service's
// template without what would end a pod that does not answer, or take it out
// of the traffic.
//
// When a newer revision is live, the debuggers of those before it are cut off,
// so that they come to the new one. Where no debugger is left, what stands goes
// on without breakpoints: it may hold requests that somebody waits for, and who
// comes back sets theirs again.
package delve
