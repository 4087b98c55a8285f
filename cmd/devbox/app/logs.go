package app

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/internal/tail"
	"github.com/kind-in-a-box/devbox/internal/terminal"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

func (d *devbox) logsCommand() *cobra.Command {
	var follow, queue bool
	var last int64
	cmd := &cobra.Command{
		Use:   "logs [service]",
		Short: "Print what the pods of a service or a Deployment have written",
		Long: `Print what the pods of a service, or of every service, have written. Each line
begins with its revision and the end of its pod's name. With -f it goes on, with
the pods of new revisions as they come, until Ctrl-C.

On a terminal colours and other escape sequences of the lines are left out, since
they could change what is on the screen; elsewhere a line is as it was written.

A name that no service has may be that of a Deployment, a StatefulSet, a DaemonSet,
a Job or a Pod; each line begins with its pod's name then. Where two namespaces have
one of the same name it is namespace/name.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			t := &tail.Tailer{Namespace: c.box.Namespace(), Selector: servingv1.ServiceLabel, Queue: queue, Follow: follow, Tell: d.logLine(queue, d.onTerminal())}
			if len(args) == 1 {
				if err := c.logsOf(cmd.Context(), args[0], t); err != nil {
					return err
				}
			}
			if t.Client, err = kubernetes.NewForConfig(c.config); err != nil {
				return fmt.Errorf("connecting to the box: %w", err)
			}
			if last >= 0 {
				t.Last = &last
			}
			return d.logs(cmd.Context(), t)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	cmd.Flags().BoolVar(&queue, "queue", false, "include the queue-proxy of each pod")
	cmd.Flags().Int64Var(&last, "tail", -1, "begin with this many last lines of each container; -1 is all")
	return cmd
}

// logsOf has a tailer read the pods of a service, or else of the workloads of
// a name, which may have its namespace in front.
func (c *cluster) logsOf(ctx context.Context, name string, t *tail.Tailer) error {
	namespace, bare := split(name)
	if _, unknown := c.services(ctx, name); unknown == nil {
		t.Namespace, t.Selector = cmp.Or(namespace, t.Namespace), servingv1.ServiceLabel+"="+bare
		return nil
	}
	w, err := deploy.PodsBy(ctx, c.client, namespace, bare)
	if err != nil {
		return classify(codeCluster, err, c.d.command("status"))
	}
	if w == nil {
		return classify(codeUsage, fmt.Errorf("there is no service %q, nor a Deployment, StatefulSet, DaemonSet, Job or Pod of that name", name), c.d.command("status"))
	}
	t.Namespace, t.Selector, t.Pod = w.Namespace, w.Selector, w.Pod
	return nil
}

// logs runs a tailer; one that follows runs until Ctrl-C, which is its good end.
func (d *devbox) logs(ctx context.Context, t *tail.Tailer) error {
	err := t.Run(ctx)
	if interrupted(ctx) && t.Follow {
		return nil
	}
	return classify(codeCluster, err, d.command("status"))
}

// logLine prints a line behind where it is from.
//
// On a screen a program's own escape sequences are left out: they could move
// what is on the screen, or type into it. In a file or a pipe a line is as it
// was written, since whoever reads it there may want it so, as with cat.
func (d *devbox) logLine(containers, screen bool) func(tail.Line) {
	return func(l tail.Line) {
		if screen {
			l.Text = terminal.Clean(l.Text)
		}
		// Whoever read the lines has gone when this fails, and the context ends.
		_, _ = fmt.Fprintf(d.stdout, "%s | %s\n", l.From(containers), l.Text)
	}
}
