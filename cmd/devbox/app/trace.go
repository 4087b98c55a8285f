package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kind-in-a-box/devbox/internal/way"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// traceFlags are the flags of `devbox trace`.
type traceFlags struct {
	wait               bool
	svg                string
	method, path, body string
	host               string
	headers            []string
}

func (d *devbox) traceCommand() *cobra.Command {
	var flags traceFlags
	cmd := d.reports(&cobra.Command{
		Use:   "trace [service]",
		Short: "Draw the way of one request, and where its time goes",
		Long: `Send one request to a service, and draw every hop that it passed: who listens
on which address, what was added to and taken from the headers there, how long
it stayed, and where it waited. The names of headers are shown, and no values.

What is drawn was seen. The activator and queue-proxy report what they saw. The
gateway and the container do not, and are drawn by what those beside them saw.
A hop that did not report is drawn with broken lines.

Where a pod has a sidecar, the rules of iptables that lead the request to it are
read from the pod's network, through the node: those that are about it are marked,
with how many connections they have met so far, and how many of them now. Where
that cannot be read the picture says why. TLS sessions have the names in the
certificates of both ends.

The time of a hop, in its box, is from when the request came to it until the
answer began. OWN TIME is without what is behind it, and so adds up to the
whole; time of a hop that did not report is with the one in front of it.

Where the service has no pods the request is held, and waits while

      decided   the controller decides to make a pod
      created   the API server has it, and the activator has heard of it
      sandbox   it has an address
      started   its queue-proxy takes connections
      listening its container takes requests

Each lasts since the one before it. A step that is not known is left out.

--wait waits until the service has no pods. It goes there by itself, which takes
a minute without requests where its annotations say nothing else. Pods are not
deleted for it: they would be replaced at once.

Without a service it is the only one. Where two namespaces have one of the same
name it is namespace/service. A name may also be that of a VirtualService of the
box, and --host one of its hosts: a program that runs without the serving stack.`,
		Example: `  devbox trace hello
  devbox trace hello --wait --svg way.svg
  devbox trace hello -X POST -H 'Content-Type: application/json' -d '{}' --path /orders
  devbox trace hello -o json | jq '.hops[] | {name, listen, ms: (.own / 1e6)}'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := flags.request()
			if err != nil {
				return &problem{code: codeUsage, cause: err, next: d.command("trace --help")}
			}
			if flags.host != "" && flags.wait {
				return &problem{code: codeUsage, cause: errors.New("--wait waits for a service to have no pods; --host has no place beside it")}
			}
			return d.trace(cmd.Context(), strings.Join(args, ""), request, flags)
		},
	}, "text or json")
	cmd.Flags().BoolVar(&flags.wait, "wait", false, "wait until the service has no pods")
	cmd.Flags().StringVar(&flags.host, "host", "", "send to what has this host of the box, instead of naming a service")
	cmd.Flags().StringVar(&flags.svg, "svg", "", "write the picture to this file too, as SVG")
	cmd.Flags().StringVarP(&flags.method, "method", "X", "", "the request's method (default GET, or POST with --body)")
	cmd.Flags().StringArrayVarP(&flags.headers, "header", "H", nil, "a header of the request, as 'Name: value'; may be repeated")
	cmd.Flags().StringVarP(&flags.body, "body", "d", "", "the request's body: text, or @file")
	cmd.Flags().StringVar(&flags.path, "path", "/", "the request's path, with its query")
	curlNames(cmd.Flags())
	return cmd
}

// request is the one that the flags ask for.
func (f *traceFlags) request() (way.Request, error) {
	header, err := way.ParseHeader(f.headers)
	if err != nil {
		return way.Request{}, err
	}
	body, err := bodyOf(f.body)
	if err != nil {
		return way.Request{}, err
	}
	r := way.Request{Method: f.method, Path: f.path, Header: header, Body: body}
	if f.body != "" && f.method == "" {
		r.Method = http.MethodPost
	}
	return r, r.Check()
}

// trace sends a request to the service of a name, and shows its way.
func (d *devbox) trace(ctx context.Context, name string, request way.Request, flags traceFlags) error {
	c, err := d.cluster(ctx)
	if err != nil {
		return err
	}
	of, err := c.subject(ctx, "trace", name, flags.host)
	if err != nil {
		return err
	}
	if err := of.unready(d.command("status")); err != nil {
		return err
	}
	picture, err := openPicture(flags.svg)
	if err != nil {
		return err
	}
	defer picture.close()
	if flags.wait && of.service == nil {
		return &problem{code: codeUsage, cause: fmt.Errorf("%s is no service, and does not go to zero pods: leave --wait out", of.name)}
	}
	if flags.wait {
		if err := c.atZero(ctx, of.service); err != nil {
			return err
		}
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	request.Service, request.Namespace, request.Plain = of.name, of.namespace, of.service == nil
	request.Gateway, request.Host = c.box.Gateway(), of.host
	if of.service != nil {
		request.Networks = networks(c.box, c.client, of.service)
	}
	w, err := way.Send(ctx, request)
	if err != nil {
		return classify(codeCluster, err, d.command("up"))
	}
	if flags.wait && w.Pod != "" && !w.Cold() {
		again := d.command("trace " + cmp.Or(name, of.name) + " --wait")
		return &problem{code: codeFailure, cause: fmt.Errorf("%s got a pod before the request came: %s", of.name, w.Pod), next: again}
	}
	return d.show(w, picture)
}

// show prints a way, writes its picture where there is to be one, and says
// what is wrong where no pod answered.
func (d *devbox) show(w way.Way, picture *picture) error {
	var err error
	if d.output == jsonFormat {
		err = d.printJSON(w)
	} else {
		err = way.Text(d.stdout, w, d.coloured())
	}
	if err == nil {
		err = picture.write(w)
	}
	if err != nil {
		return err
	}
	return d.unanswered(w)
}

// unanswered is the problem of a request that no pod answered.
func (d *devbox) unanswered(w way.Way) error {
	if w.Pod != "" || w.Status < http.StatusBadRequest {
		return nil
	}
	p := &problem{
		code: codeRollout, cause: fmt.Errorf("no pod of %s is known to have answered: %d %s", w.Service, w.Status, http.StatusText(w.Status)),
		next: d.command("logs " + w.Service),
	}
	if w.Message != "" {
		p.evidence = strings.Split(w.Message, "\n")
	}
	return p
}

// onTerminal is whether stdout is a screen.
func (d *devbox) onTerminal() bool {
	file, ok := d.stdout.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// coloured is whether stdout takes colours.
func (d *devbox) coloured() bool {
	return d.onTerminal() && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == ""
}

// oneService is the service of a name, which may have its namespace in front,
// or the only one where there is no name. Command is the one that is to know it.
func (c *cluster) oneService(ctx context.Context, command, name string) (*servingv1.Service, error) {
	found, err := c.services(ctx, name)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, &problem{code: codeFailure, cause: errors.New("the box has no service"), next: c.d.command("up DIRECTORY")}
	case 1:
		return &found[0], nil
	}
	var names []string
	for _, s := range found {
		names = append(names, s.Namespace+"/"+s.Name)
	}
	return nil, &problem{
		code: codeUsage, cause: fmt.Errorf("there are %d services, and %s takes one at a time", len(found), command),
		evidence: names, next: c.d.command(command + " " + names[0]),
	}
}
