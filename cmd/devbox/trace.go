package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// timingHeader, in a request, asks the activator where its time goes.
const timingHeader = "Devbox-Timing"

// lookEvery is how often a service is looked at that is to go to zero.
const lookEvery = 200 * time.Millisecond

func (d *devbox) traceCommand() *cobra.Command {
	untilZero := false
	cmd := d.reports(&cobra.Command{
		Use:   "trace [service]",
		Short: "Show where the time of one cold start goes",
		Long: `Send one request to a service that has no pods, and show what happened until its
response began, a line and a bar for each step. The steps of the pod are seen by
the activator, which holds the request, and so by one clock:

    held        the request waits for a pod, and meanwhile
      decided   the controller decides to make a pod
      created   the API server has it, and the activator has heard of it
      sandbox   it has an address
      started   its queue-proxy takes connections
      listening its container takes requests
    first byte  the request goes to the pod, and the response begins

Each lasts since the one before it. A step that is not known is left out.

A service that has a pod has no cold start to show, and is left alone: pods that
somebody deletes are replaced at once, so that is no way to zero. --wait waits
until the service has gone there by itself, which takes a minute without requests
where its annotations say nothing else.

Without a service it is the only one. Where two namespaces have one of the same
name it is namespace/service.`,
		Example: `  devbox trace hello
  devbox trace hello --wait
  devbox trace hello -o json | jq '.steps[] | {step, ms: (.took / 1e6)}'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.cluster()
			if err != nil {
				return err
			}
			service, err := c.oneService(cmd.Context(), strings.Join(args, ""))
			if err != nil {
				return err
			}
			again := d.command("trace " + cmp.Or(strings.Join(args, ""), service.Name) + " --wait")
			if err := c.atZero(cmd.Context(), service, untilZero, again); err != nil {
				return err
			}
			t, err := c.trace(cmd.Context(), service, again)
			if err != nil {
				return err
			}
			if d.output == jsonFormat {
				return d.printJSON(t)
			}
			return t.print(d.stdout)
		},
	}, "text or json")
	cmd.Flags().BoolVar(&untilZero, "wait", false, "wait until the service has no pods")
	return cmd
}

// oneService is the service of a name, which may have its namespace in front,
// or the only one where there is no name.
func (c *cluster) oneService(ctx context.Context, name string) (*servingv1.Service, error) {
	namespace, bare, qualified := strings.Cut(name, "/")
	if !qualified {
		namespace, bare = "", name
	}
	services, err := c.services(ctx, bare)
	if err != nil {
		return nil, err
	}
	var found []servingv1.Service
	var names []string
	for _, s := range services {
		if namespace == "" || s.Namespace == namespace {
			found, names = append(found, s), append(names, s.Namespace+"/"+s.Name)
		}
	}
	switch {
	case len(found) == 1:
		return &found[0], nil
	case len(found) > 1:
		return nil, &problem{
			code: codeUsage, cause: fmt.Errorf("there are %d services, and one is traced at a time", len(found)),
			evidence: names, next: c.d.command("trace " + names[0]),
		}
	case name == "":
		return nil, &problem{code: codeFailure, cause: errors.New("the box has no service"), next: c.d.command("up DIRECTORY")}
	}
	return nil, &problem{code: codeFailure, cause: fmt.Errorf("there is no service %q", name), next: c.d.command("status")}
}

// atZero returns when the service has no pods and is to have none. Where that
// is not waited for it has to be so now; again is the command that waits.
func (c *cluster) atZero(ctx context.Context, service *servingv1.Service, waits bool, again string) error {
	if service.Status.LatestReadyRevisionName == "" {
		return &problem{code: codeRollout, cause: fmt.Errorf("no revision of %s has been ready yet", service.Name), next: c.d.command("status")}
	}
	told := false
	err := wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		revisions, pods, err := c.running(ctx, service)
		if err != nil {
			return false, classify(codeCluster, err, c.d.command("status"))
		}
		there, kept := above(revisions, pods)
		switch {
		case len(there) == 0:
			return true, nil
		case kept != "":
			return false, &problem{
				code: codeFailure, cause: fmt.Errorf("%s never is at zero pods: %s", service.Name, kept),
				evidence: there, next: "take the annotation out of its service.yaml, and try again",
			}
		case !waits:
			return false, &problem{
				code: codeFailure, cause: fmt.Errorf("%s is not at zero pods, so there is no cold start to show", service.Name),
				evidence: there, next: again,
			}
		case !told:
			fmt.Fprintf(c.d.stderr, "   waiting until %s is at zero pods: %s\n", service.Name, strings.Join(there, "; "))
			told = true
		}
		return false, nil
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// running is what a service has of revisions and pods.
func (c *cluster) running(ctx context.Context, service *servingv1.Service) ([]servingv1.Revision, []corev1.Pod, error) {
	var revisions servingv1.RevisionList
	var pods corev1.PodList
	of := []client.ListOption{client.InNamespace(service.Namespace), client.MatchingLabels{servingv1.ServiceLabel: service.Name}}
	if err := c.client.List(ctx, &revisions, of...); err != nil {
		return nil, nil, fmt.Errorf("listing the revisions of %s: %w", service.Name, err)
	}
	if err := c.client.List(ctx, &pods, of...); err != nil {
		return nil, nil, fmt.Errorf("listing the pods of %s: %w", service.Name, err)
	}
	return revisions.Items, pods.Items, nil
}

// above says what keeps a service from being at zero, and why that will not
// change by itself, if it will not.
func above(revisions []servingv1.Revision, pods []corev1.Pod) (there []string, kept string) {
	for _, pod := range pods {
		switch {
		case !pod.DeletionTimestamp.IsZero():
			there = append(there, "pod "+pod.Name+" is ending")
		case pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded:
			there = append(there, "pod "+pod.Name+" is there")
		}
	}
	for _, revision := range revisions {
		wanted := revision.Status.DesiredReplicas
		if wanted == nil || *wanted == 0 {
			continue
		}
		if len(there) == 0 {
			there = append(there, fmt.Sprintf("revision %s is to have pods: %d", revision.Name, *wanted))
		}
		least := cmp.Or(revision.Annotations[servingv1.AutoscalingPrefix+"min-scale"], revision.Annotations[servingv1.AutoscalingPrefix+"minScale"])
		if least != "" && least != "0" {
			kept = fmt.Sprintf("%s has the annotation %smin-scale: %s", revision.Name, servingv1.AutoscalingPrefix, least)
		}
	}
	return there, kept
}

// trace sends the one request; again is the command for one that found a pod.
func (c *cluster) trace(ctx context.Context, service *servingv1.Service, again string) (*trace, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.box.Gateway(), nil)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Host = c.host(service)
	req.Header.Set(timingHeader, "1")
	transport := &http.Transport{} // no proxy: the gateway is on this machine
	defer transport.CloseIdleConnections()
	began := time.Now()
	resp, err := transport.RoundTrip(req) // no redirect: it would be another request
	took := time.Since(began)
	if err != nil {
		return nil, classify(codeCluster, fmt.Errorf("asking the gateway: %w", err), c.d.command("up"))
	}
	defer resp.Body.Close()
	t := readTrace(resp.Header.Values("Server-Timing"))
	if t == nil {
		return nil, c.untimed(service, resp)
	}
	if !t.cold() {
		return nil, &problem{code: codeFailure, cause: fmt.Errorf("%s got a pod before the request came: %s", service.Name, t.Pod), next: again}
	}
	t.Service, t.Namespace, t.Status, t.Client = service.Name, service.Namespace, resp.StatusCode, took
	return t, nil
}

// untimed says why there is no timing: nothing of a pod's came back.
func (c *cluster) untimed(service *servingv1.Service, resp *http.Response) error {
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	p := &problem{
		code: codeRollout, cause: fmt.Errorf("no pod of %s answered: %s", service.Name, resp.Status),
		next: c.d.command("logs " + service.Name),
	}
	if text := strings.TrimSpace(string(said)); err == nil && text != "" {
		p.evidence = strings.Split(text, "\n")
	}
	return p
}
