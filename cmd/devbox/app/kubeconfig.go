package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

func (d *devbox) kubeconfigCommand() *cobra.Command {
	var merge bool
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the box's kubeconfig, or merge it into yours",
		Long: `Print the path of the box's own kubeconfig, for

    export KUBECONFIG=$(devbox kubeconfig)

With --merge the box is put into the kubeconfig that kubectl uses, as the
context devbox-NAME, and that file's path is printed. The current context stays
what it is. ` + "`devbox down`" + ` takes the entry out again.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			box, err := d.load()
			if err != nil {
				return err
			}
			if !merge {
				_, err := fmt.Fprintln(d.stdout, box.Kubeconfig)
				return err
			}
			return d.merge(box)
		},
	}
	cmd.Flags().BoolVar(&merge, "merge", false, "merge it into the kubeconfig that kubectl uses")
	return cmd
}

func (d *devbox) merge(box *bootstrap.Box) error {
	_, file := userKubeconfigs()
	context := contextName(box.Name)
	if err := mergeKubeconfig(box.Kubeconfig, file, context); err != nil {
		return classify(codeFailure, err, "export KUBECONFIG="+box.Kubeconfig)
	}
	fmt.Fprintf(d.stderr, "use it with: kubectl --context %s get ksvc\n", context)
	_, err := fmt.Fprintln(d.stdout, file)
	return err
}

// load finds the box, or says how to make it.
func (d *devbox) load() (*bootstrap.Box, error) {
	box, err := engines().Load(d.name)
	return box, classify(codeCluster, err, d.command("up"))
}
