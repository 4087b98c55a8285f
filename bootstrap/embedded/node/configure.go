package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	"github.com/kind-in-a-box/devbox/serving/runner"
)

// configure works out what is run. What it needs may come later than the pod;
// it waits for that until life is done.
func (c *container) configure(life context.Context, image *runner.Image, number int32) (runner.Spec, bool) {
	pause := newPause(firstRetry, lastRetry)
	for {
		spec, err := c.runnerSpec(life, image, number)
		if err == nil {
			return spec, true
		}
		if life.Err() != nil {
			return runner.Spec{}, false
		}
		c.waiting("CreateContainerConfigError", err.Error())
		c.warn(reasonFailed, "Error: %s", err)
		if !pause.wait(life) {
			return runner.Spec{}, false
		}
	}
}

// runnerSpec is the container as the runner knows it.
func (c *container) runnerSpec(ctx context.Context, image *runner.Image, number int32) (runner.Spec, error) {
	pod := c.pod.object
	config := image.Config().Config
	env, values, err := c.pod.sources().environment(ctx, c.spec)
	if err != nil {
		return runner.Spec{}, err
	}
	who, err := user(pod.Spec.SecurityContext, c.spec.SecurityContext, config.User)
	if err != nil {
		return runner.Spec{}, err
	}
	all, err := mounts(&pod.Spec, c.spec, filepath.Join(c.pod.dir(), volumesDir), values)
	if err != nil {
		return runner.Spec{}, err
	}
	last, err := c.lastWordsMount(number)
	if err != nil {
		return runner.Spec{}, err
	}
	hostname := hostname(pod)
	spec := runner.Spec{
		Image:        image,
		Name:         fmt.Sprintf("%s-%s-%d", pod.UID, c.spec.Name, number),
		Dir:          c.path(fmt.Sprintf("%d.root", number)),
		Args:         command(c.spec, config.Entrypoint, config.Cmd, values),
		Env:          append([]string{"HOSTNAME=" + hostname}, env...),
		WorkingDir:   c.spec.WorkingDir,
		User:         who,
		Hostname:     hostname,
		ReadOnlyRoot: c.spec.SecurityContext != nil && isTrue(c.spec.SecurityContext.ReadOnlyRootFilesystem),
		Mounts:       append(all, last...),
		Hosts:        c.pod.hosts(hostname),
	}
	if c.pod.network != nil {
		spec.Network = c.pod.network.Namespace()
		spec.ResolvConf = network.ResolvConf(pod.Namespace)
	}
	return spec, nil
}

func hostname(pod *corev1.Pod) string {
	name := pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	return name[:min(len(name), 63)] // as Linux has it, and the kubelet
}

// path is where a file of the container is.
func (c *container) path(name string) string {
	return filepath.Join(c.pod.dir(), containersDir, c.spec.Name, name)
}

// lastWordsMount makes the file that a process may write its last words to.
func (c *container) lastWordsMount(number int32) ([]runner.Mount, error) {
	if !c.pod.node.runner.Isolation().Root || c.spec.TerminationMessagePath == "" {
		return nil, nil
	}
	path := c.lastWordsPath(number)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil { // whatever the umask
		return nil, err
	}
	return []runner.Mount{{Source: path, Target: c.spec.TerminationMessagePath}}, nil
}

func (c *container) lastWordsPath(number int32) string {
	return c.path(fmt.Sprintf("%d.message", number))
}
