// Package parts puts what watches a box, Prometheus, Zipkin and Grafana, into its
// API server, and takes it away again. Where their images come from, and what
// keeps them running, is an engine's work.
//
//	Install: claim the namespace --> chart "observability", with the engine's values
//	Remove:  the chart's release --> the namespace, where devbox made it
package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/charts"
)

// ours is the label of what devbox made without a chart.
const (
	oursKey   = "app.kubernetes.io/managed-by"
	oursValue = "devbox"
)

// claimTimeout is how long a namespace of before may take to go.
const claimTimeout = 3 * time.Minute

// Install makes the parts what the chart says with these values.
func Install(ctx context.Context, clients kubernetes.Interface, client *helm.Client, values map[string]any) error {
	if err := claim(ctx, clients); err != nil {
		return err
	}
	files, err := fs.Sub(charts.Observability, "observability")
	if err != nil {
		return err
	}
	_, err = client.Apply(ctx, helm.Release{
		Name: bootstrap.Observability, Namespace: bootstrap.WatchNamespace, Chart: files, Values: values,
	})
	return err
}

// Remove takes the parts away, and with them what they asked for.
func Remove(ctx context.Context, clients kubernetes.Interface, client *helm.Client) error {
	if err := client.Remove(ctx, bootstrap.Observability, bootstrap.WatchNamespace); err != nil {
		return err
	}
	return release(ctx, clients)
}

// claim makes the parts' namespace, once one of before is gone. One of
// somebody else's is left alone: what is in it could bear the same names.
func claim(ctx context.Context, clients kubernetes.Interface) error {
	ctx, cancel := context.WithTimeoutCause(ctx, claimTimeout, fmt.Errorf("namespace %s is not gone in %s", bootstrap.WatchNamespace, claimTimeout))
	defer cancel()
	namespaces := clients.CoreV1().Namespaces()
	foreign := false
	err := bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		_, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: bootstrap.WatchNamespace, Labels: map[string]string{oursKey: oursValue},
		}}, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		there, err := namespaces.Get(ctx, bootstrap.WatchNamespace, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if there.DeletionTimestamp != nil {
			return errors.New("it is being removed")
		}
		if there.Labels[oursKey] != oursValue {
			foreign = true
		}
		return nil
	})
	if foreign {
		return errForeign
	}
	return err
}

// errForeign says that somebody else uses the parts' namespace.
var errForeign = &bootstrap.ClusterError{
	Step: bootstrap.Observability,
	Err:  errors.New("namespace " + bootstrap.WatchNamespace + " is there, and devbox did not make it"),
	Hint: "remove it, or `devbox up --without " + bootstrap.Observability + "`",
}

// release removes the parts' namespace if devbox made it.
func release(ctx context.Context, clients kubernetes.Interface) error {
	namespaces := clients.CoreV1().Namespaces()
	there, err := namespaces.Get(ctx, bootstrap.WatchNamespace, metav1.GetOptions{})
	if err == nil && there.Labels[oursKey] == oursValue {
		err = namespaces.Delete(ctx, bootstrap.WatchNamespace, metav1.DeleteOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
