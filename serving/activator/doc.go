// Package activator is the router that every request passes: it knows which
// revision takes a host's traffic, holds requests while that revision has no
// pod, and gives no pod more than it asked for.
//
//	Routes, Revisions, Pods (API server)
//	     |  watch.go: one goroutine
//	     v
//	table.go   pure: objects -> table     roads.go   table -> the live one, swapped atomically
//	                                         |
//	gateway --> forward.go: host -> road -> revision --> hold.go: a free pod, or wait (room.go)
//	            trip.go: one request             ^       balance.go: which pod
//	                |                            |
//	                v                        pods.go: which there are, and which answer
//	            pod :8012                    probe.go: one goroutine a pod: does it answer?
//
//	timing.go: where a held request's time went, for one who asks
//	spans.go: the same, and the rest of its way, as spans of a trace
//	cold.go: the same of those that woke a revision, added up
//	report.go: counts, held requests and answering pods -> stream -> controller
//	metrics.go: the same and latencies -> whoever reads them
//
// What a request sees of an edit is one pointer being swapped: the new
// revision's pods have answered before the table names it, and the old
// revision's pods go on serving what they were given.
package activator
