// Package cluster makes and unmakes a box's cluster: one kind node, a container
// of the docker engine. It is the only importer of kind.
//
//	Absent --Create--> Running <--Start-- Stopped
//	   ^------------------Delete-----------/
//
// A Cluster never touches a container that was not made for its box: kind has
// no place for a mark of ours on a container, so a box is known by the three
// ports of the loopback address that lead into it, which were written down
// before the container was made. See Cluster.State.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/exec"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
)

// State is what there is of a cluster.
type State int

// The states a cluster can be found in.
const (
	Absent  State = iota // there is no container
	Stopped              // the container is there and does not run
	Running              // the container runs
	Foreign              // there is a cluster of this name that is not the box's
)

// Cluster is the cluster of one box.
type Cluster struct{ name, node string }

// New returns the cluster of that name.
func New(name string) *Cluster {
	return &Cluster{name: name, node: name + "-control-plane"}
}

// State says what there is of the cluster. spec is what the box's record says
// was asked for; nil, when there is no record, makes every cluster Foreign.
func (c *Cluster) State(ctx context.Context, spec *Spec) (State, error) {
	nodes, err := c.containers(ctx)
	if err != nil || len(nodes) == 0 {
		return Absent, err
	}
	if spec == nil || len(nodes) > 1 || nodes[0] != c.node {
		return Foreign, nil
	}
	out, err := docker.Output(ctx, "container", "inspect", c.node)
	if docker.IsNotFound(err) {
		return Absent, nil
	}
	if err != nil {
		return Absent, fmt.Errorf("looking at container %s: %w", c.node, err)
	}
	return inspected(out, *spec)
}

// containers lists the containers of any kind cluster of this name.
func (c *Cluster) containers(ctx context.Context) ([]string, error) {
	out, err := docker.Output(ctx, "ps", "--all", "--filter", "label=io.x-k8s.kind.cluster="+c.name, "--format", "{{.Names}}")
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	return strings.Fields(out), nil
}

// inspected reads what `docker container inspect` printed.
func inspected(out string, spec Spec) (State, error) {
	var found []struct {
		State      struct{ Running bool }
		HostConfig struct {
			PortBindings map[string][]struct{ HostPort string }
		}
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		return Absent, fmt.Errorf("reading what docker says of the node: %w", err)
	}
	if len(found) != 1 {
		return Absent, nil
	}
	for inside, host := range map[int]int{GatewayNodePort: spec.HTTPPort, RegistryPort: spec.RegistryPort, 6443: spec.APIPort} {
		bound := found[0].HostConfig.PortBindings[fmt.Sprintf("%d/tcp", inside)]
		if len(bound) != 1 || bound[0].HostPort != strconv.Itoa(host) {
			return Foreign, nil
		}
	}
	if found[0].State.Running {
		return Running, nil
	}
	return Stopped, nil
}

// Create makes the cluster, which must be Absent, and returns when kubeadm is
// done with it; the node may not be Ready yet. kubeconfig is the file that
// gets its credentials; no other is touched. say is told of every phase. When
// ctx ends first, or kind fails, nothing is left of the cluster.
func (c *Cluster) Create(ctx context.Context, spec Spec, kubeconfig string, say func(string)) error {
	provider := kindcluster.NewProvider(kindcluster.ProviderWithDocker(), kindcluster.ProviderWithLogger(logger{say}))
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = provider.Create(c.name,
			kindcluster.CreateWithV1Alpha4Config(spec.config(c.name)),
			kindcluster.CreateWithKubeconfigPath(kubeconfig))
	}()
	select {
	case <-done:
		if err != nil {
			return explained(err)
		}
		return nil
	case <-ctx.Done():
		c.abort(context.WithoutCancel(ctx), done)
		return context.Cause(ctx)
	}
}

// abort makes kind give up. It cannot be told to, but without the container
// every command that it runs fails.
func (c *Cluster) abort(ctx context.Context, done <-chan struct{}) {
	for {
		_ = c.remove(ctx) // tried again until kind is done, and once more below
		select {
		case <-done: // with an error that says what we did
			_ = c.remove(ctx) // what is still there then is found by State
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// explained is kind's error with the last words of the command that failed.
func explained(err error) error {
	failed := exec.RunErrorForError(err)
	if failed == nil {
		return fmt.Errorf("creating the cluster: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(failed.Output)), "\n")
	return fmt.Errorf("creating the cluster: %w\n%s", err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
}

// Start starts a Stopped cluster.
func (c *Cluster) Start(ctx context.Context) error {
	if err := docker.Run(ctx, nil, nil, "start", c.node); err != nil {
		return fmt.Errorf("starting container %s: %w", c.node, err)
	}
	return nil
}

// Delete removes the cluster's container with its volumes. It is well when
// there is none.
func (c *Cluster) Delete(ctx context.Context) error {
	if err := c.remove(ctx); err != nil {
		return fmt.Errorf("removing container %s: %w", c.node, err)
	}
	return nil
}

func (c *Cluster) remove(ctx context.Context) error {
	err := docker.Run(ctx, nil, nil, "rm", "--force", "--volumes", c.node)
	if docker.IsNotFound(err) {
		return nil
	}
	return err
}

// AwaitNode waits until the node's container runs and its containerd takes
// images, and sets up the registry's folder and name in it.
func (c *Cluster) AwaitNode(ctx context.Context, registryPort int) error {
	script := setup(registryPort)
	for {
		err := c.Exec(ctx, nil, nil, "sh", "-c", script)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the node: %w (last: %w)", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Exec runs a command in the node. stdin and stdout may be nil.
func (c *Cluster) Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, command ...string) error {
	args := []string{"exec"}
	if stdin != nil {
		args = append(args, "--interactive")
	}
	return docker.Run(ctx, stdin, stdout, append(append(args, c.node), command...)...)
}

// Kubeconfig returns the administrator's kubeconfig as this machine uses it.
// There is one from the moment kubeadm wrote it, long before Create returns.
func (c *Cluster) Kubeconfig() ([]byte, error) {
	config, err := kindcluster.NewProvider(kindcluster.ProviderWithDocker()).KubeConfig(c.name, false)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	return []byte(config), nil
}
