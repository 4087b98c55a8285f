package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// traffic is what `devbox hold` and `rollback` report.
type traffic struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Revision  string `json:"revision"` // that has most of the traffic
	Held      bool   `json:"held"`
}

func (d *devbox) holdCommand() *cobra.Command {
	release := false
	cmd := d.reports(&cobra.Command{
		Use:   "hold service",
		Short: "Keep what serves now from being replaced, until --release",
		Long: `Keep what serves a service now from being replaced. Saves go on making revisions,
which take no traffic, as ` + "`devbox up`" + ` says of each, until --release: then the
latest has all of it, or what the service's traffic said before it was held.

It is a traffic block of the Service as any, with an annotation by which ` + "`devbox up`" + `
knows that the manifest's own does not count meanwhile:

    kubectl get ksvc NAME -o yaml

A revision that takes no traffic can be reached by a tag, or by a load that
compares it (` + "`devbox load --compare`" + `). It goes to zero pods as others do.`,
		Example: `  devbox hold hello
  devbox hold --release hello
  devbox hold hello -o json | jq -r .revision`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.traffic(cmd.Context(), "hold", args[0], func(ctx context.Context, c *cluster, s *servingv1.Service) error {
				if release {
					return deploy.Release(ctx, c.client, s)
				}
				return deploy.Hold(ctx, c.client, s)
			})
		},
	}, "text or json")
	cmd.Flags().BoolVar(&release, "release", false, "let the latest revision have the traffic again")
	return cmd
}

func (d *devbox) rollbackCommand() *cobra.Command {
	return d.reports(&cobra.Command{
		Use:   "rollback service [revision]",
		Short: "Give the traffic back to the revision before, or to another, and hold it there",
		Long: `Give all traffic of a service to the revision that was ready before the one that
serves now, or to the one that is named. Once more goes one further back.

The traffic is held there (` + "`devbox hold --help`" + `): a save that came next would
otherwise undo it. Saves go on making revisions, which take no traffic, as
` + "`devbox up`" + ` says of each, until

    devbox hold --release NAME`,
		Example: `  devbox rollback hello
  devbox rollback hello hello-00003
  devbox hold --release hello`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: d.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.traffic(cmd.Context(), "rollback", args[0], func(ctx context.Context, c *cluster, s *servingv1.Service) error {
				if len(args) > 1 {
					if err := c.isReady(ctx, s, args[1]); err != nil {
						return err
					}
					return deploy.Rollback(ctx, c.client, s, args[1])
				}
				before, err := deploy.Previous(ctx, c.client, s)
				if err != nil {
					return err
				}
				return deploy.Rollback(ctx, c.client, s, before)
			})
		},
	}, "text or json")
}

// traffic changes where the traffic of a service goes, and reports where that is
// once the gateway does so.
func (d *devbox) traffic(ctx context.Context, command, name string, change func(context.Context, *cluster, *servingv1.Service) error) error {
	c, err := d.cluster(ctx)
	if err != nil {
		return err
	}
	s, err := c.oneService(ctx, command, name)
	if err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	if err := change(ctx, c, s); err != nil {
		return c.unmoved(s, err)
	}
	moved, err := c.moved(ctx, s)
	if err != nil {
		return classify(codeCluster, err, d.command("status"))
	}
	now := &traffic{Name: moved.Name, Namespace: moved.Namespace, Revision: deploy.Wanted(moved), Held: deploy.Held(moved)}
	if d.output == jsonFormat {
		return d.printJSON(now)
	}
	fmt.Fprintln(d.stdout, now.Revision)
	said := fmt.Sprintf("%s serves, and every save that follows", now.Revision)
	if now.Held {
		said = fmt.Sprintf("%s serves, until `%s`", now.Revision, d.command("hold --release "+name))
	}
	fmt.Fprintf(d.stderr, "   %s\n", said)
	return nil
}

// unmoved puts what is in the way of a service's traffic into its class.
func (c *cluster) unmoved(s *servingv1.Service, err error) error {
	if wrong, ok := errors.AsType[*deploy.SplitError](err); ok {
		return &problem{code: codeUsage, cause: fmt.Errorf("%s: %w", s.Name, wrong), next: c.d.command("traffic " + s.Name)}
	}
	if errors.Is(err, deploy.ErrNeverReady) || errors.Is(err, deploy.ErrNoneBefore) {
		return &problem{code: codeRollout, cause: fmt.Errorf("%s: %w", s.Name, err), next: c.d.command("status")}
	}
	if apierrors.IsInvalid(err) {
		return classify(codeUsage, err, c.d.command("status"))
	}
	return classify(codeCluster, fmt.Errorf("changing the traffic of %s: %w", s.Name, err), c.d.command("status"))
}

// rollsOut says whether the traffic of a service moves in steps, which takes its
// time.
func rollsOut(s *servingv1.Service) bool {
	c := s.Status.Condition(servingv1.ServiceRoutesReady)
	return c != nil && c.Reason == servingv1.ReasonRolloutInProgress
}

// moved waits until the gateway leads a service's traffic where the Service says,
// and returns the Service as it is then.
func (c *cluster) moved(ctx context.Context, s *servingv1.Service) (*servingv1.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, reached)
	defer cancel()
	transport := &http.Transport{} // no proxy: the gateway is on this machine
	defer transport.CloseIdleConnections()
	probe := &http.Client{Transport: transport, Timeout: time.Second}
	var now servingv1.Service
	var last error
	err := wait.PollUntilContextCancel(ctx, lookEvery/4, true, func(ctx context.Context) (bool, error) {
		if last = c.client.Get(ctx, client.ObjectKeyFromObject(s), &now); last != nil {
			return false, nil
		}
		if last = c.leads(ctx, probe, c.host(&now), deploy.Wanted(&now), deploy.Settled(&now)); last == nil && !deploy.Divided(&now) {
			last = errors.New("the Route does not say so yet")
		}
		return last == nil || rollsOut(&now), nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for the traffic of %s to move: %w", s.Name, cmp.Or(last, err))
	}
	return &now, nil
}
