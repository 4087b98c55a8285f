// Package autoscaler decides how many pods a revision should have. The
// algorithm is Knative's pod autoscaler, fed with exact numbers: every
// request passes the activator, and the activator says what it counts.
//
//	stream.Stats, stream.Held --> Loop --every 2 s, or at once when--> Decide
//	                               |  ^   somebody waits for a pod       |
//	        changed(revision) <----+  +------ state, want, reason <------+
//
// Decide (kpa.go) is a pure function of a Spec, a State and an Observation
// that has the time in it; phase.go has the way to none and back. Config and
// Spec (config.go, spec.go) are what the config-autoscaler ConfigMap and a
// revision's annotations ask for. A window (window.go) averages the samples.
// The Loop (loop.go) has everything that moves: which revisions exist, what
// is in flight, and the clock.
//
// docs/autoscaling.md explains the formula and where it departs from
// upstream's. testdata has one story a file, to be read as text.
package autoscaler
