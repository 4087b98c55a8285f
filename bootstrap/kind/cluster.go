package kind

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
)

// apiTimeout is how long the API server may take to answer: on a slow machine a
// new one needs one minute.
const apiTimeout = 3 * time.Minute

// cluster sees to it that the box's cluster runs. It opens nodeUp and apiUp as
// soon as they are true, which on a new cluster is long before kind is done.
func (u *up) cluster(ctx context.Context, say func(string)) (string, error) {
	if err := u.noteParts(); err != nil {
		return "", err
	}
	if u.found != cluster.Absent && !u.box.Complete {
		say("removing a cluster that was created half-way")
		if err := u.node.Delete(ctx); err != nil {
			return "", err
		}
		u.found = cluster.Absent
	}
	g, made := errgroup.WithContext(ctx)
	switch u.found {
	case cluster.Absent:
		if err := u.prepare(made, say); err != nil {
			return "", err
		}
		g.Go(func() error { return u.create(made, say) })
	case cluster.Stopped:
		say("starting the stopped cluster")
		if err := u.node.Start(made); err != nil {
			return "", err
		}
	}
	g.Go(func() error {
		if err := u.node.AwaitNode(made, u.box.RegistryPort); err != nil {
			return err
		}
		u.nodeUp.Open()
		return nil
	})
	g.Go(func() error { return u.awaitAPI(made) })
	if err := g.Wait(); err != nil {
		return "", err
	}
	if err := u.nameHost(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("kind %q, Kubernetes %s", u.box.Name, u.version()), nil
}

// prepare does what must be done before there is a container: the node image
// is in the engine, and the record says whose the container will be.
func (u *up) prepare(ctx context.Context, say func(string)) error {
	say("looking for the node image " + u.box.Images.Ref(images.Node))
	if _, err := u.box.Images.ProvideNode(ctx); err != nil {
		return err
	}
	if err := claimNetwork(ctx); err != nil {
		return err
	}
	u.box.Complete = false
	if err := os.Remove(u.box.Kubeconfig); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the kubeconfig of an earlier cluster: %w", err)
	}
	return u.box.Save()
}

func (u *up) create(ctx context.Context, say func(string)) error {
	asked := spec(u.box)
	asked.CgroupV1 = u.cgroupV1
	if err := u.node.Create(ctx, asked, u.box.Kubeconfig, say); err != nil {
		return err
	}
	u.box.Complete = true
	return u.box.Save()
}

// awaitAPI waits until the API server does what an administrator asks, and
// opens apiUp.
func (u *up) awaitAPI(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, apiTimeout, fmt.Errorf(
		"the API server does not answer on 127.0.0.1:%d in %s; where Docker is on another machine, or its socket was lent to this one, the ports are there",
		u.box.APIPort, apiTimeout))
	defer cancel()
	if err := u.awaitReady(ctx); err != nil {
		return err
	}
	if err := u.writeKubeconfig(); err != nil {
		return err
	}
	rest, err := u.box.RESTConfig()
	if err != nil {
		return err
	}
	if u.helm, err = helm.New(rest); err != nil {
		return err
	}
	if u.clients, err = kubernetes.NewForConfig(rest); err != nil {
		return err
	}
	// A new cluster's administrator is given rights a moment after the server
	// is ready.
	err = bootstrap.Poll(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		_, err := u.clients.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("asking the API server: %w", err)
	}
	u.apiUp.Open()
	return nil
}

// writeKubeconfig writes the box's kubeconfig where there is none.
func (u *up) writeKubeconfig() error {
	if _, err := os.Stat(u.box.Kubeconfig); err == nil {
		return nil
	}
	config, err := u.node.Kubeconfig()
	if err != nil {
		return err
	}
	return bootstrap.WritePrivate(u.box.Kubeconfig, config)
}

// awaitReady waits for the API server's own word that it is ready, which it
// gives to anybody. Whose word it is does not matter yet: credentials are used
// only with the cluster's certificate at hand.
func (u *up) awaitReady(ctx context.Context) error {
	client := http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	url := fmt.Sprintf("https://127.0.0.1:%d/readyz", u.box.APIPort)
	if err := bootstrap.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error { return bootstrap.Expect(ctx, &client, url, http.StatusOK) }); err != nil {
		return fmt.Errorf("waiting for the API server: %w", err)
	}
	return nil
}

func (u *up) version() string {
	v, err := u.clients.Discovery().ServerVersion()
	if err != nil {
		return u.box.Images.Kubernetes
	}
	return v.GitVersion
}
