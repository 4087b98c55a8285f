// Package embedded is the engine for a machine without a container engine: a
// box is a process of devbox's own, with a real Kubernetes API server, a node
// that runs pods as processes, and the serving stack in it.
//
//	devbox up ──spawns──> cmd/box, which outlives it
//	   │ <───── events ───── │
//	   └──── curl, kubectl ─>│
//
// It finds, starts and ends that process, by package process; what runs in it
// is package box.
package embedded
