package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// division is what `devbox traffic` reports.
type division struct {
	Name      string          `json:"name"`
	Namespace string          `json:"namespace"`
	Held      bool            `json:"held"` // it stays so, whatever is saved
	Traffic   []trafficStatus `json:"traffic"`
}

// trafficStatus is where a share of a service's traffic goes.
type trafficStatus struct {
	Revision string `json:"revision"`
	Latest   bool   `json:"latest"` // because it is the latest
	Percent  int64  `json:"percent"`
	Tag      string `json:"tag,omitempty"`
	Host     string `json:"host,omitempty"` // of the tag
}

func (d *devbox) trafficCommand() *cobra.Command {
	var to, tags, untag []string
	cmd := d.lists(&cobra.Command{
		Use:   "traffic service",
		Short: "Show where the traffic of a service goes, or divide it among revisions",
		Long: `Show where the traffic of a service goes. With --to it is divided: each takes a
revision, a tag that the service has, or @latest, and a share in percent; all of them
come to 100. --tag gives a revision a host of its own, TAG-NAME.NAMESPACE.DOMAIN, and
--untag takes one away. Tags that are not named stay. The flags are kn's, which has
--traffic for --to.

As after a roll back, the traffic is held where it was put (` + "`devbox hold --help`" + `): a
save makes a revision that gets what @latest has been given, and nothing where it
has not, until

    devbox hold --release NAME`,
		Example: `  devbox traffic hello
  devbox traffic hello --to hello-00002=90 --to @latest=10
  devbox traffic hello --tag hello-00002=old --tag @latest=new
  devbox traffic hello --untag old -o json | jq -r '.traffic[].revision'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			split, err := newSplit(to, tags, untag)
			if err != nil {
				return &problem{code: codeUsage, cause: err, next: "devbox traffic --help"}
			}
			return d.divide(cmd.Context(), args[0], split)
		},
	})
	cmd.Flags().StringSliceVar(&to, "to", nil, "give a share, as REVISION=PERCENT, TAG=PERCENT or @latest=PERCENT; may be repeated")
	cmd.Flags().StringSliceVar(&tags, "tag", nil, "give a revision a host of its own, as REVISION=TAG or @latest=TAG; may be repeated")
	cmd.Flags().StringSliceVar(&untag, "untag", nil, "take a tag away; may be repeated")
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "traffic" { // kn's
			name = "to"
		}
		return pflag.NormalizedName(name)
	})
	for flag, complete := range map[string]cobra.CompletionFunc{"to": d.completeShares, "tag": d.completeShares} {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flags were added a few lines up
		}
	}
	return cmd
}

// newSplit reads the flags.
func newSplit(to, tags, untag []string) (deploy.Split, error) {
	split := deploy.Split{Untag: untag}
	for _, said := range to {
		name, share, ok := cutLast(said)
		percent, err := strconv.ParseInt(strings.TrimSuffix(share, "%"), 10, 64)
		if !ok || err != nil {
			return split, fmt.Errorf("--to %s: it is REVISION=PERCENT, such as hello-00002=90 or %s=10", said, deploy.Latest)
		}
		split.Shares = append(split.Shares, deploy.Share{To: name, Percent: percent})
	}
	for _, said := range tags {
		name, tag, ok := cutLast(said)
		if !ok {
			return split, fmt.Errorf("--tag %s: it is REVISION=TAG, such as hello-00002=old or %s=new", said, deploy.Latest)
		}
		split.Tags = append(split.Tags, deploy.Tag{To: name, Name: tag})
	}
	return split, nil
}

// cutLast cuts NAME=VALUE.
func cutLast(said string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(said, "=")
	return name, value, ok && name != "" && value != ""
}

// divide shows where the traffic of a service goes, once it does so as split says,
// if that says anything.
func (d *devbox) divide(ctx context.Context, name string, split deploy.Split) error {
	c, err := d.cluster(ctx)
	if err != nil {
		return err
	}
	s, err := c.oneService(ctx, "traffic", name)
	if err != nil {
		return err
	}
	if len(split.Shares)+len(split.Tags)+len(split.Untag) > 0 {
		if err := c.areReady(ctx, s, split); err != nil {
			return err
		}
		if err := c.open(ctx); err != nil {
			return err
		}
		if err := deploy.Divide(ctx, c.client, s, split); err != nil {
			return c.unmoved(s, err)
		}
		if s, err = c.moved(ctx, s); err != nil {
			return classify(codeCluster, err, d.command("status"))
		}
	}
	now := &division{Name: s.Name, Namespace: s.Namespace, Held: deploy.Held(s), Traffic: c.trafficOf(s)}
	if err := d.list(now, func(table *tabwriter.Writer) { trafficTable(table, now.Traffic) }); err != nil {
		return err
	}
	if now.Held && d.output == textFormat {
		fmt.Fprintf(d.stderr, "   it stays so, until `%s`\n", d.command("hold --release "+name))
	}
	return nil
}

// areReady refuses what a split names and is no revision that answers.
func (c *cluster) areReady(ctx context.Context, s *servingv1.Service, split deploy.Split) error {
	var names []string
	for _, share := range split.Shares {
		names = append(names, share.To)
	}
	for _, tag := range split.Tags {
		names = append(names, tag.To)
	}
	for _, name := range names {
		known := name == deploy.Latest || slices.ContainsFunc(s.Spec.Traffic, func(t servingv1.TrafficTarget) bool { return t.Tag == name })
		if known {
			continue
		}
		if err := c.isReady(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

// trafficOf is where the traffic of a service goes, by its status.
func (c *cluster) trafficOf(s *servingv1.Service) []trafficStatus {
	all := []trafficStatus{}
	for _, t := range s.Status.Traffic {
		one := trafficStatus{Revision: t.RevisionName, Latest: t.LatestRevision != nil && *t.LatestRevision, Tag: t.Tag}
		if t.Percent != nil {
			one.Percent = *t.Percent
		}
		if t.Tag != "" {
			one.Host = servingv1.ServiceHost(s, t.Tag, c.box.Domain)
		}
		all = append(all, one)
	}
	return all
}

func trafficTable(table io.Writer, traffic []trafficStatus) {
	fmt.Fprintf(table, "TRAFFIC\tREVISION\tTAG\tHOST\n")
	for _, t := range traffic {
		revision := t.Revision
		if t.Latest {
			revision += " (" + deploy.Latest + ")"
		}
		fmt.Fprintf(table, "%d%%\t%s\t%s\t%s\n", t.Percent, revision, cmp.Or(t.Tag, "-"), cmp.Or(t.Host, "-"))
	}
}
