// Package compare runs one program in four ways side by side, and says what
// each of them costs and gives:
//
//	serving        our serving stack
//	serving-mesh   our serving stack, with Istio's sidecar in the pods
//	istio          a Deployment, a Service and a VirtualService
//	istio-sidecar  the same, with Istio's sidecar in the pod
//
// All have one image, one gateway and one machine, and take their turns: each
// round goes through all four, and begins with another one. What is measured
// of each is what a client sees, and what the containers on the way take.
//
//	Config ── Run ──> stage: a namespace of its own, four times the program
//	                    │
//	                  first requests, from zero where a variant goes there
//	                  turns of load, at a rate and as fast as it goes
//	                    │
//	                    v
//	                  Report ──> text, JSON
//
// The namespace is removed at the end, whatever that is; where the end was too
// sudden for that, by the next Run.
package compare
