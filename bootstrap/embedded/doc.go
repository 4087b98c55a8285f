// Package embedded is the engine for a machine without a container engine: a
// real Kubernetes API server in a process of devbox's own, a node beside it
// that runs pods as processes, and the serving stack that runs on kind too.
//
//	devbox up ──spawns──> devbox box, which outlives it
//	   │                     │
//	   │ <───── events ───── │  apiserver   etcd and kube-apiserver, on loopback
//	   │                     │  registry    what the watcher pushes to
//	   │                     │  node        pods to processes, by serving/runner
//	   │                     │  controller  the reconcilers and the autoscaler
//	   └──── curl, kubectl ─>│  activator   the box's port, in place of Envoy
//	                         │
//	                         └── user-container, queue-proxy: its children
//
// The package process finds, starts and ends the box process; Engine is what
// runs in it. All state lies in the box's data directory, and a kill -9 at any moment
// leaves it whole: the next start goes on from there.
package embedded
