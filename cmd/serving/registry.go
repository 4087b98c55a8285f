package main

import (
	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/serving/registry"
)

func registryCommand(log logger) *cobra.Command {
	var c registry.Config
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Keep the box's images",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Log = log()
			return registry.Run(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Address, "address", ":5001", "where the registry answers")
	cmd.Flags().StringVar(&c.Root, "root", "/var/lib/registry", "the folder of its files")
	cmd.Flags().StringVar(&c.HealthAddress, "health-address", ":8081", "where /healthz, /readyz and /metrics are served")
	cmd.Flags().IntVar(&c.Keep, "keep", registry.DefaultKeep, "images to keep of each repository")
	return cmd
}
