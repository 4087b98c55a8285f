package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/loopbench"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher"
)

func (d *devbox) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a box on your own service",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(d.benchLoopCommand())
	return cmd
}

// benchFlags are the flags of `devbox bench loop`.
type benchFlags struct {
	edits int
	pause time.Duration
	pkg   string
}

func (d *devbox) benchLoopCommand() *cobra.Command {
	var flags benchFlags
	cmd := d.reports(&cobra.Command{
		Use:   "loop [directory]",
		Short: "Measure how long a save takes to be live, against go build",
		Long: `Edit the service in a directory again and again, and show how long each step
takes from the save to the first answer of the new revision through the gateway,
with go build of such edits in turns, so that both meet the same machine.

What is edited is a file of its own, devbox_bench.go in the package of the
program, or in the one that --package names; go build sees its edits as an
overlay. The file goes at the end. One that a sudden end has left goes when it
is measured again.

The service is called like yours, with -bench behind it, and goes at the end too:
what answers for yours is not touched. It runs with your service.yaml, in its
namespace. The box must be up, and no devbox up may watch: both would build.`,
		Example: `  devbox bench loop ./examples/hello
  devbox bench loop --edits 30 --package ./internal/greeting ./cmd/server
  devbox bench loop -o json | jq '.ratio'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(); err != nil {
				return &problem{code: codeUsage, cause: err, next: d.command("bench loop --help")}
			}
			return d.benchLoop(cmd.Context(), append(args, ".")[0], flags)
		},
	}, "text or json")
	cmd.Flags().IntVar(&flags.edits, "edits", 10, "that are measured")
	cmd.Flags().DurationVar(&flags.pause, "pause", 2*time.Second, "before each turn, as a person would make one")
	cmd.Flags().StringVar(&flags.pkg, "package", "", "directory of the package to be edited (the program's own)")
	return cmd
}

// check refuses flags that mean nothing.
func (f *benchFlags) check() error {
	switch {
	case f.edits < 1 || f.edits > 1000:
		return errors.New("--edits is a number from 1 to 1000")
	case f.pause < 0 || f.pause > 10*time.Minute:
		return errors.New("--pause is a time from 0s to 10m")
	}
	return nil
}

// benchLoop measures the loop on the service in a directory.
func (d *devbox) benchLoop(ctx context.Context, dir string, flags benchFlags) error {
	target, err := oneTarget(ctx, dir)
	if err != nil {
		return err
	}
	edited, err := loopbench.Package(flags.pkg, target)
	if err != nil {
		return &problem{code: codeUsage, cause: fmt.Errorf("--package: %w", err)}
	}
	c, err := d.cluster(ctx)
	if err != nil {
		return err
	}
	end, err := bootstrap.Session(d.name, target.Dir)
	if busy, ok := errors.AsType[*bootstrap.BusyError](err); ok && busy.Session {
		return &problem{code: codeFailure, cause: err, next: "end that with Ctrl-C, which leaves the box running, then the same command again"}
	}
	if err != nil {
		return classify(codeFailure, err, "")
	}
	defer end()
	target = toMeasure(target)
	guest := guestOf(c.box)
	if guest != nil {
		as, err := watcher.AsGuest([]watcher.Target{target}, guest, archsOf(c.box))
		if err != nil {
			return ofInput(err)
		}
		target = as[0]
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	if err := c.clearBench(ctx, target.Service); err != nil {
		return err
	}
	reader := d.progress()
	report, failed := loopbench.Run(ctx, loopbench.Config{
		Loop: watcher.Config{
			Targets: []watcher.Target{target}, Registry: registryOf(c.box), Guest: guest, Archs: archsOf(c.box), REST: c.config,
			Gateway: c.box.Gateway(), Domain: c.box.Domain, Engine: c.box.Engine,
		},
		Package: edited, Edits: flags.edits, Pause: flags.pause, Progress: reader.Show,
	})
	reader.Close()
	if interrupted(ctx) {
		failed = &problem{code: codeInterrupted, cause: errInterrupted}
	}
	if report != nil {
		failed = errors.Join(d.showBench(report), failed)
	}
	return errors.Join(ofBench(failed), c.clearBench(context.WithoutCancel(ctx), target.Service))
}

// benchLabel is on the Services that are made to be measured.
const benchLabel = "devbox.dev/bench"

// toMeasure is a target with a Service of its own, which takes all of its traffic.
func toMeasure(t watcher.Target) watcher.Target {
	s := t.Service.DeepCopy()
	s.Name += "-bench"
	s.Labels = map[string]string{benchLabel: "loop"}
	s.Spec.Traffic = nil
	t.Name, t.Service = s.Name, s
	return t
}

// benchGone is how long a Service that was measured may take to go, with its
// revisions.
const benchGone = time.Minute

// clearBench removes what is measured, and nothing else that has its name, and
// returns when it is gone.
func (c *cluster) clearBench(ctx context.Context, s *servingv1.Service) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, benchGone, true, func(ctx context.Context) (bool, error) {
		var there servingv1.Service
		switch err := c.client.Get(ctx, client.ObjectKeyFromObject(s), &there); {
		case apierrors.IsNotFound(err):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("looking for service %s: %w", s.Name, err)
		case there.Labels[benchLabel] == "":
			return false, &problem{code: codeUsage, cause: fmt.Errorf("service %s in namespace %s is there, and is not of a measuring", s.Name, s.Namespace), next: "rename it, or measure in another box"}
		case !there.DeletionTimestamp.IsZero():
			return false, nil
		}
		err := c.client.Delete(ctx, s, client.PropagationPolicy(metav1.DeletePropagationForeground))
		return false, client.IgnoreNotFound(err)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("service %s is not gone after %s", s.Name, benchGone)
	}
	return classify(codeCluster, err, c.d.command("status"))
}

func (d *devbox) showBench(r *loopbench.Report) error {
	if d.output == jsonFormat {
		return d.printJSON(r)
	}
	return r.WriteText(d.stdout)
}

// ofBench puts what went wrong into its class.
func ofBench(err error) error {
	if failed, ok := errors.AsType[*loopbench.FailedError](err); ok {
		code := codeRollout
		if failed.Event.Kind == event.BuildFailed {
			code = codeBuild
		}
		return &problem{code: code, cause: failed, next: "mend it, then the same command again"}
	}
	if errors.Is(err, loopbench.ErrUnrelated) {
		return &problem{code: codeUsage, cause: err, next: "name a package that it imports with --package"}
	}
	return classify(codeFailure, err, "")
}
