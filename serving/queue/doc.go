// Package queue is queue-proxy: it stands before the user container in every
// pod, so that the container is never given more requests than it asked for,
// none before it can take them, and none is lost when the pod goes.
//
//	                 pod
//	activator  -->  :8012 queue-proxy --> 127.0.0.1:$USER_PORT user container
//	kubelet    -->  :8012 K-Network-Probe: queue    "can the container take requests?"
//	kubelet    -->  :8022 /wait-for-drain           "may the container go now?"
//	Prometheus -->  :9090, :9091 /metrics
//
// One request passes handler.go from top to bottom; account.go is what is told
// of one that is traced. readiness.go finds out
// whether the container takes requests, run.go holds the servers and the
// order in which they leave.
package queue
