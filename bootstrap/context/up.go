package context

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// up is one run of the steps.
type up struct {
	*survey
	noted bootstrap.Gate // cluster: the box has its record
	ready bootstrap.Gate // serving is there
}

func (u *up) steps() []bootstrap.Step {
	u.noted, u.ready = make(bootstrap.Gate), make(bootstrap.Gate)
	steps := []bootstrap.Step{{Name: "cluster", Do: u.cluster}, {Name: "gateway", After: u.ready, Do: u.answers}}
	if u.install != nil {
		return append(steps, bootstrap.Step{Name: "serving", After: u.noted, Do: u.installAll})
	}
	u.ready.Open()
	return steps
}

// cluster notes where the box is. In the cluster itself nothing is made before
// the first service is, but by --install.
func (u *up) cluster(context.Context, func(string)) (string, error) {
	if err := bootstrap.WritePrivate(u.Box.Kubeconfig, u.access.file); err != nil {
		return "", err
	}
	u.Box.Complete = true
	if err := u.Box.Save(); err != nil {
		return "", err
	}
	u.noted.Open()
	return fmt.Sprintf("context %s, namespace %s, images by %s", u.guest.Context, u.guest.Namespace, u.guest.Registry), nil
}

// find finds the way in to what was just installed, and notes it.
func (u *up) find(ctx context.Context) error {
	before := len(u.Findings)
	u.gateway(ctx)
	u.Warn("gateway", u.Findings[before:])
	if failed := u.Failed(); len(failed) > 0 {
		return &bootstrap.PrerequisiteError{Findings: failed}
	}
	return u.Box.Save()
}

// answers looks whether requests come in.
func (u *up) answers(ctx context.Context, say func(string)) (string, error) {
	if u.installed {
		if err := u.find(ctx); err != nil {
			return "", err
		}
	}
	if to := u.guest.Forward; to != nil {
		pods, err := u.clients.CoreV1().Pods(to.Namespace).List(ctx, metav1.ListOptions{LabelSelector: to.Selector})
		if err != nil {
			return "", fmt.Errorf("looking for the gateway's pods: %w", err)
		}
		if ready(pods.Items) == nil {
			return "", errNoGateway(to)
		}
		return fmt.Sprintf("a port-forward to namespace %s, as long as `devbox up` runs", to.Namespace), nil
	}
	say("asking " + u.guest.Gateway)
	if err := answers(ctx, u.guest.Gateway, patience); err != nil {
		return "", &bootstrap.ClusterError{Step: "gateway", Err: err, Hint: "look whether that address is in reach from here, or give another with --gateway"}
	}
	return u.guest.Gateway, nil
}
