package main

import (
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/internal/patient"
)

// inCluster is how a pod reaches the API server, for which it waits while it
// is away.
func inCluster() (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	config.DisableCompression = true // the server is on the same node, or in the next rack
	return patient.Config(config), nil
}
