package embedded

// Lacks names what a cluster has and this engine has not. A pod that asks for
// one of these fails with a sentence that says so (see node.Unsupported), and
// the serving chart refuses what no pod would show.
func Lacks() []string {
	return []string{
		"Istio",
		"Deployments and other workloads of Kubernetes' own",
		"cluster IPs",
		"NetworkPolicy",
		"Ingress",
		"hostPath and persistent volumes",
		"host network",
		"privileged containers",
		"limits of CPU and memory",
		"GPUs",
		"service account tokens in pods",
		"probes and hooks that run a command in the container",
	}
}
