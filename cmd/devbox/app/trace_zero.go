package app

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// lookEvery is how often a service is looked at that is to go to zero.
const lookEvery = 200 * time.Millisecond

// atZero returns when the service has no pods and is to have none.
func (c *cluster) atZero(ctx context.Context, service *servingv1.Service) error {
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
