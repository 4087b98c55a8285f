package main

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/targets"
)

func targetsCommand(log logger) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "targets",
		Short: "Tell Prometheus whom to ask",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := inCluster()
			if err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return fmt.Errorf("preparing to ask the API server: %w", err)
			}
			listener, err := new(net.ListenConfig).Listen(cmd.Context(), "tcp", address)
			if err != nil {
				return fmt.Errorf("listening: %w", err)
			}
			return proxy.Server{
				Listener: listener, Handler: targets.Handler(client), Limit: time.Second, Log: log(),
			}.Serve(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&address, "address", "127.0.0.1:8082", "where Prometheus asks")
	return cmd
}
