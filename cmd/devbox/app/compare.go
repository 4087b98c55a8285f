package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/compare"
	"github.com/kind-in-a-box/devbox/internal/load"
	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// compareFlags are the flags of `devbox compare`.
type compareFlags struct {
	rounds   int
	duration time.Duration
	rate     load.Rate
}

func (d *devbox) compareCommand() *cobra.Command {
	flags := compareFlags{rate: load.Rate{Freq: 50, Per: time.Second}}
	cmd := d.reports(&cobra.Command{
		Use:   "compare directory",
		Short: "Compare the serving stack with Istio alone, with a sidecar and without",
		Long: `Build the main package in a directory once, run it in four ways side by side,
and show what each of them costs and gives:

      serving        our serving stack
      serving-mesh   our serving stack, with Istio's sidecar in the pods
      istio          a Deployment, a Service and a VirtualService
      istio-sidecar  the same, with Istio's sidecar in the pod

Each is asked five times, one by one and each time over a new connection, as by
curl; those of the serving stack when they have no pod. Then come loads: one on
all of them, each request to another one, so that all meet the same machine; the
latencies are of that. And one on each, as fast as 16 requests in flight go. It
says whether the latencies differ beyond the noise, by the test of devbox load
--compare.

Memory and CPU are read from the control groups of the containers on the way.
Everything is in a namespace of its own, ` + compare.Namespace + `, which is removed
at the end; where the end was too sudden for that, the next comparison does it.

It needs a box with Istio in it. What it found is on the page of devbox ui too.`,
		Example: `  devbox compare ./examples/hello
  devbox compare ./examples/hello --rounds 8 --rate 50/s
  devbox compare ./examples/hello -o json | jq '.variants[] | {variant, p50: (."50th" / 1e6)}'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(); err != nil {
				return &problem{code: codeUsage, cause: err, next: d.command("compare --help")}
			}
			return d.compare(cmd.Context(), args[0], flags)
		},
	}, "text or json")
	cmd.Flags().IntVar(&flags.rounds, "rounds", 4, "of first requests, and of loads")
	cmd.Flags().DurationVar(&flags.duration, "duration", 5*time.Second, "of each load")
	cmd.Flags().Var(rateFlag{&flags.rate}, "rate", "requests in a time to each variant, begun evenly")
	return cmd
}

// check refuses flags that mean nothing.
func (f *compareFlags) check() error {
	switch {
	case f.rounds < 1 || f.rounds > 100:
		return errors.New("--rounds is a number from 1 to 100")
	case f.duration < time.Second || f.duration > 10*time.Minute:
		return errors.New("--duration is a time from 1s to 10m")
	case f.rate.Unbound():
		return errors.New("--rate is above 0; as fast as it goes is measured beside it")
	}
	return nil
}

// compare builds the program, compares, and shows the report.
func (d *devbox) compare(ctx context.Context, dir string, flags compareFlags) error {
	target, err := oneTarget(ctx, dir)
	if err != nil {
		return err
	}
	c, err := d.cluster(ctx)
	if err != nil {
		return err
	}
	if c.box.Node() == nil {
		return &problem{
			code:  codePrerequisite,
			cause: fmt.Errorf("box %s is of the %s engine, and has no Istio of its own to compare with", d.name, c.box.Engine),
			next:  "devbox up --engine kind --name NAME, and then the same with --name NAME",
		}
	}
	image, err := d.image(ctx, c.box, target)
	if err != nil {
		return err
	}
	reader := d.progress()
	config := c.comparison(flags)
	config.Service, config.Image, config.Events = target.Service, image, reader.Show
	report, failed := compare.Run(ctx, config)
	reader.Close()
	return errors.Join(d.showComparison(report), d.ofComparison(ctx, failed))
}

// oneTarget is the service in a directory, which has one and no more.
func oneTarget(ctx context.Context, dir string) (watcher.Target, error) {
	targets, _, err := watcher.Discover(ctx, []string{dir})
	if err != nil {
		return watcher.Target{}, ofInput(err)
	}
	targets = slices.DeleteFunc(targets, func(t watcher.Target) bool { return t.Service == nil }) // manifests beside it
	switch len(targets) {
	case 0:
		return watcher.Target{}, &problem{code: codeUsage, cause: fmt.Errorf("%s has no service: name the directory of a main package", dir)}
	case 1:
		return targets[0], nil
	}
	return watcher.Target{}, &problem{code: codeUsage, cause: fmt.Errorf("%s has %d services, and one is measured at a time", dir, len(targets))}
}

// image builds the program of a target, once for all variants.
func (d *devbox) image(ctx context.Context, box *bootstrap.Box, t watcher.Target) (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	img, err := build.New(build.Options{WorkDir: here}).Build(ctx, t.Dir, t.ImportPath)
	if broken, ok := errors.AsType[*build.CompileError](err); ok {
		return "", &problem{code: codeBuild, cause: broken, next: "mend it, then the same command again"}
	}
	if err != nil {
		return "", fmt.Errorf("building %s: %w", t.Name, err)
	}
	ref, err := push.Box(box.Registry()).Image(ctx, t.Name, img)
	return ref, classify(codeCluster, err, d.command("up"))
}

// comparison is where and how it is compared.
func (c *cluster) comparison(flags compareFlags) compare.Config {
	return compare.Config{
		Client: c.client, Gateway: c.box.Gateway(), Domain: c.box.Domain,
		Rounds: flags.rounds, Duration: flags.duration, Rate: flags.rate,
		Usage: func(ctx context.Context, ids []string) (map[string]compare.Usage, error) {
			read, err := c.box.Node().Usage(ctx, ids)
			all := make(map[string]compare.Usage, len(read))
			for id, u := range read {
				all[id] = compare.Usage(u)
			}
			return all, err
		},
	}
}

// showComparison prints a report, if there is one, and keeps it for the page.
func (d *devbox) showComparison(report *compare.Report) error {
	if report == nil {
		return nil
	}
	file, err := comparisonFile(d.name)
	if err != nil {
		return err
	}
	data, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("keeping the comparison: %w", err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("keeping the comparison: %w", err)
	}
	if d.output == jsonFormat {
		return d.printJSON(report)
	}
	return report.WriteText(d.stdout)
}

// ofComparison puts what went wrong into its class.
func (d *devbox) ofComparison(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case interrupted(ctx):
		return &problem{code: codeInterrupted, cause: errInterrupted}
	case errors.Is(err, compare.ErrTaken):
		return &problem{code: codeFailure, cause: err}
	}
	return classify(codeCluster, err, d.command("status"))
}

// comparisonFile is where the last comparison of a box is kept, beside its
// sessions' events.
func comparisonFile(name string) (string, error) {
	events, err := bootstrap.Events(name)
	return filepath.Join(filepath.Dir(events), "comparison.json"), err
}
