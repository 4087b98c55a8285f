package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/internal/load"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func (d *devbox) loadCommand() *cobra.Command {
	var flags loadFlags
	cmd := d.reports(&cobra.Command{
		Use:   "load [service]",
		Short: "Put a load on a service, and show what came of it",
		Long: `Send requests to a service at a constant rate, and show how it bore them: vegeta's
own report, and then what vegeta cannot know: the pods over time, the cold starts
and their share of the latency, and how many pods the autoscaler's formula asks for.

Requests begin evenly, however long the answers take, so that a slow service meets
the same load as a fast one. Where this program cannot keep the rate, the report
begins with the rate that it kept. --rate 0 sends as many as --max-workers carry.

Only this box is ever a target. A file of targets has vegeta's form, a method and
a URL a line with headers below it; the URL is a path, or names a host of the box:

    GET /
    POST /orders
    Content-Type: application/json
    @order.json

--compare sends to two revisions in turn, so that both meet the same machine, and
says whether they differ beyond the noise. They are reached by tags. One that has
no tag has one while the load lasts; no traffic is moved.

Ctrl-C ends a load early, with a report of what there is. A file that --results
has written is read by vegeta report, vegeta plot and vegeta encode.

Without a service it is the only one. Where two namespaces have one of the same
name it is namespace/service. A name may also be that of a VirtualService of the
box, and --host one of its hosts: a program that runs without the serving stack.`,
		Example: `  devbox load hello
  devbox load hello --rate 50/1s --duration 300s --plot hello.html
  devbox load --host istio-only.example.com
  devbox load hello --rate 0 --max-workers 64 --duration 10s
  devbox load autoscale --path '/?sleep=100' --rate 100/s
  devbox load hello --body @order.json -H 'Content-Type: application/json'
  devbox load hello --results hello.bin && vegeta report hello.bin
  devbox load hello --compare hello-00003,hello-00004
  devbox load hello -o json | jq '.vegeta.latencies["99th"] / 1e6'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			on, err := c.subject(cmd.Context(), "load", strings.Join(args, ""), flags.host)
			if err != nil {
				return err
			}
			return c.load(cmd.Context(), on, &flags)
		},
	}, "text or json")
	flags.add(cmd)
	return cmd
}

// load checks everything, runs the load, and reports it.
func (c *cluster) load(ctx context.Context, on *subject, flags *loadFlags) error {
	if err := on.unready(c.d.command("status")); err != nil {
		return err
	}
	if on.service == nil && flags.compare != nil {
		return &problem{code: codeUsage, cause: fmt.Errorf("--compare takes two revisions, and %s has none", on.host)}
	}
	site, err := c.site(ctx, on.host)
	if err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	plan, err := flags.plan(site.Gateway)
	if err != nil {
		return err
	}
	if plan.Targets, err = flags.aim(site); err != nil {
		return classify(codeUsage, err, "")
	}
	var lanes []string
	if flags.compare != nil {
		tags, err := c.tag(ctx, on.service, flags.compare)
		if err != nil {
			return err
		}
		defer tags.remove(context.WithoutCancel(ctx))
		if lanes, err = tags.hosts(ctx); err != nil {
			return err
		}
		if plan.Targets, err = inTurn(plan.Targets, site.Host, lanes); err != nil {
			return err
		}
	}
	files, err := openLoadFiles(flags)
	if err != nil {
		return err
	}
	defer files.close()
	report, failed := c.run(ctx, on, plan, files.keep(), lanes)
	if failed == nil && report.Vegeta.Requests == 0 && report.Unfinished == 0 {
		return &problem{code: codeUsage, cause: fmt.Errorf("--duration %s is over before a request can begin; give it longer", plan.Duration)}
	}
	if report.Compared != nil {
		report.Compared.A.Revision, report.Compared.B.Revision = flags.compare[0], flags.compare[1]
	}
	return errors.Join(failed, c.show(report, files))
}

// run is the load itself. There always is a report; the error is why the
// command ends badly all the same.
func (c *cluster) run(ctx context.Context, on *subject, plan load.Plan, keep io.Writer, lanes []string) (*load.Report, error) {
	plan.Targets = load.Timed(plan.Targets)
	timeline := load.NewTimeline()
	watching, stopWatching := context.WithCancel(ctx)
	wait, waitBuilds := c.watchPods(watching, on, timeline), c.watchBuilds(watching, on.name, timeline)
	defer func() { stopWatching(); wait(); waitBuilds() }()

	recorder := load.NewRecorder(keep, lanes...)
	stopLine := c.liveLine(ctx, on, recorder, timeline)
	ending, lost := load.Run(ctx, plan, recorder.Observe)
	stopLine()
	unkept := recorder.Close()
	report := recorder.Report(plan, ending, timeline, c.scale(context.WithoutCancel(ctx), on.service))
	report.Service, report.Namespace, report.Target = on.name, on.namespace, plan.Targets[0].Method+" "+plan.Targets[0].URL
	switch {
	case lost != nil:
		report.End(load.EndLost, lost.Error())
		return report, &problem{code: codeCluster, cause: lost, next: c.d.command("up")}
	case interrupted(ctx):
		report.End(load.EndInterrupted, "")
	case report.Vegeta.Requests >= plan.MaxRequests:
		report.End(load.EndFull, fmt.Sprintf("a load has at most %d requests", plan.MaxRequests))
	}
	if unkept == nil && report.Ended == load.EndInterrupted && plan.Duration > 0 {
		return report, &problem{code: codeInterrupted, cause: errInterrupted}
	}
	return report, unkept
}

// show writes the report, and the plot where one is asked for.
func (c *cluster) show(report *load.Report, files *loadFiles) error {
	if files.plot != nil {
		if err := report.WritePlot(files.plot); err != nil {
			return err
		}
	}
	if c.d.output == jsonFormat {
		return c.d.printJSON(report)
	}
	return report.WriteText(c.d.stdout)
}

// site is what may be a target: every host that the box's routes have, and
// those of its VirtualServices.
func (c *cluster) site(ctx context.Context, host string) (load.Site, error) {
	gateway, err := url.Parse(c.box.Gateway())
	if err != nil {
		return load.Site{}, fmt.Errorf("finding the gateway: %w", err)
	}
	site := load.Site{Gateway: gateway.Host, Host: host}
	var routes servingv1.RouteList
	if err := c.client.List(ctx, &routes); err != nil {
		return site, classify(codeCluster, fmt.Errorf("listing the routes: %w", err), c.d.command("up"))
	}
	for _, r := range routes.Items {
		site.Hosts = append(site.Hosts, servingv1.RouteHosts(&r, "", r.Status.URL)...)
		for _, t := range r.Status.Traffic {
			if t.Tag != "" {
				site.Hosts = append(site.Hosts, servingv1.RouteHosts(&r, t.Tag, t.URL)...)
			}
		}
	}
	others, err := c.others(ctx)
	if err != nil {
		return site, err
	}
	for _, h := range others {
		site.Hosts = append(site.Hosts, h.Name)
	}
	return site, nil
}

// inTurn sends each target of a service to the two hosts of a comparison, one
// after the other. The first is the second the next time, so that neither has
// the better place.
func inTurn(targets []load.Target, host string, lanes []string) ([]load.Target, error) {
	var all []load.Target
	for _, t := range targets {
		u, err := url.Parse(t.URL)
		if err != nil || u.Host != host {
			return nil, &problem{code: codeUsage, cause: fmt.Errorf("%s is a target of another host than %s, whose revisions are compared", t.URL, host)}
		}
		for _, lane := range []string{lanes[0], lanes[1], lanes[1], lanes[0]} {
			u.Host = lane
			t.URL = u.String()
			all = append(all, t)
		}
	}
	return all, nil
}

// loadFiles are what a load writes beside its report.
type loadFiles struct{ results, plot *os.File }

func openLoadFiles(flags *loadFlags) (*loadFiles, error) {
	f := &loadFiles{}
	for _, file := range []struct {
		flag, name string
		to         **os.File
	}{{"--results", flags.results, &f.results}, {"--plot", flags.plot, &f.plot}} {
		if file.name == "" {
			continue
		}
		opened, err := os.Create(file.name)
		if err != nil {
			f.close()
			return nil, &problem{code: codeUsage, cause: fmt.Errorf("%s: %w", file.flag, err)}
		}
		*file.to = opened
	}
	return f, nil
}

// keep is where results go; nil is nowhere.
func (f *loadFiles) keep() io.Writer {
	if f.results == nil {
		return nil
	}
	return f.results
}

func (f *loadFiles) close() {
	for _, file := range []*os.File{f.results, f.plot} {
		if file != nil {
			_ = file.Close() // what was written was flushed, or its error said
		}
	}
}
