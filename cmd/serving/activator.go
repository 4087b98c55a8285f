package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/serving/activator"
)

func activatorCommand(log logger) *cobra.Command {
	var c activator.Config
	cmd := &cobra.Command{
		Use:   "activator",
		Short: "Take every request from the gateway to a pod",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.REST, err = inCluster(); err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			if c.Pod, err = os.Hostname(); err != nil {
				return fmt.Errorf("asking for the pod's name: %w", err)
			}
			c.Upgraded, c.Log = true, log() // this process is the activator
			if os.Getenv("GOMAXPROCS") == "" {
				// The other half is for who calls and who answers. Two cores for
				// one request cost more than they bring
				// (docs/request-road.md#what-it-costs).
				runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
			}
			return activator.Run(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Address, "address", ":8012", "where requests are taken")
	cmd.Flags().StringVar(&c.Stream, "stream", "http://controller.knative-serving.svc.cluster.local:8080/stream", "the controller's stream")
	cmd.Flags().DurationVar(&c.Limit, "drain-limit", 25*time.Second, "how long requests in flight may take on the way out")
	cmd.Flags().StringVar(&c.StreamToken, "stream-token", "", "file with the token that the controller asks for")
	cmd.Flags().StringVar(&c.Authority, "mesh-authority", "", "HOST:PORT of istiod's certificate authority; none means no mesh")
	cmd.Flags().StringVar(&c.HealthAddress, "health-address", ":8081", "where /healthz, /readyz and /metrics are served")
	return cmd
}
