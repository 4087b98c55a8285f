package node

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/runner"
)

// Kubernetes' back-off of containers and of pulls: at once, then after 10 s,
// and twice as long every time; forgotten after 10 minutes without a failure.
const (
	firstBackOff = 10 * time.Second
	lastBackOff  = 5 * time.Minute
)

// container is one container of a pod, over all its lives.
type container struct {
	pod     *pod
	spec    *corev1.Container
	init    bool
	lived   bool   // this is not its first life here
	up      signal // given when it has started up once
	backOff *flowcontrol.Backoff
	pulls   *flowcontrol.Backoff
}

func newContainer(p *pod, spec *corev1.Container, init bool) *container {
	return &container{
		pod: p, spec: spec, init: init, up: newSignal(),
		backOff: flowcontrol.NewBackOff(firstBackOff, lastBackOff),
		pulls:   flowcontrol.NewBackOff(firstBackOff, lastBackOff),
	}
}

// run runs the container, again and again where its pod's restart policy says
// so, until life is done. It returns whether it ended by itself, and well.
func (c *container) run(life, limit context.Context) bool {
	for {
		code, ok := c.live(life, limit)
		if !ok || life.Err() != nil {
			return false
		}
		if !c.restarts(code) {
			return code == 0
		}
		if !c.wait(life) {
			return false
		}
	}
}

// restarts says whether the container runs again after it ended with code.
func (c *container) restarts(code int32) bool {
	if c.init && code == 0 && !podutil.IsRestartableInitContainer(c.spec) {
		return false
	}
	return podutil.ContainerShouldRestart(*c.spec, c.pod.object.Spec, code)
}

// wait waits until the container may be started again; it returns false if
// life is done first.
func (c *container) wait(life context.Context) bool {
	const id = ""
	ended := time.Now()
	if c.backOff.IsInBackOffSince(id, ended) {
		d := c.backOff.Get(id)
		words := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			d, c.spec.Name, c.pod.object.Name, c.pod.object.Namespace, c.pod.object.UID)
		c.waiting("CrashLoopBackOff", words)
		c.warn(reasonBackOff, "Back-off restarting failed container %s in pod %s", c.spec.Name, c.pod.name())
		if !proxy.Sleep(life, d) {
			return false
		}
	}
	c.backOff.Next(id, time.Now())
	return true
}

// live is one life of the container: image, configuration, process, end. It
// returns !ok if there was none, because life was done before.
func (c *container) live(life, limit context.Context) (code int32, ok bool) {
	numbers, began := &c.pod.node.numbers, time.Now()
	image, ok := c.pull(life)
	if !ok {
		return 0, false
	}
	defer image.Release()
	numbers.since(stepImage, began)
	number := c.begin()
	began = time.Now()
	spec, ok := c.configure(life, image, number)
	if !ok {
		return 0, false
	}
	numbers.since(stepConfigure, began)
	log, err := c.openLog(number)
	if err != nil {
		return c.failedToStart(err), true
	}
	defer c.closeLog(log)
	stdout, stderr := log.stream("stdout"), log.stream("stderr")
	spec.Stdout, spec.Stderr = stdout, stderr
	entry := spec
	if err := c.handOver(&spec); err != nil {
		return c.failedToStart(err), true
	}
	began = time.Now()
	process, err := c.pod.node.runner.Start(life, spec)
	for _, f := range spec.Files {
		_ = f.Close() // the process has it, and what it ends is closed
	}
	if err != nil {
		if life.Err() != nil {
			return 0, false
		}
		return c.failedToStart(err), true
	}
	numbers.since(stepProcess, began)
	numbers.started.Add(1)
	c.started(process, image, spec.Name)
	entry.In = process
	c.opens(&entry)
	c.watch(life, limit, process)
	c.opens(nil)
	stdout.flush()
	stderr.flush()
	code = c.ended(process, number)
	if err := process.Remove(); err != nil {
		c.pod.node.log.Warn("removing the files of a container", "pod", c.pod.name(), "container", c.spec.Name, "error", err)
	}
	return code, true
}

// begin returns the number of the life that begins. Those of the container
// before the node was started again count too.
func (c *container) begin() int32 {
	var number int32
	c.update(func(s *corev1.ContainerStatus) {
		if c.lived {
			s.RestartCount++
		}
		number = s.RestartCount
	})
	c.lived = true
	return number
}

// watch returns when the process has ended, by itself or because the node
// has ended it.
func (c *container) watch(life, limit context.Context, process *runner.Process) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(life))
	health := c.startHealth(ctx, process)
	defer health.wait()
	defer cancel()
	select {
	case <-process.Done():
	case <-life.Done():
		c.terminate(life, limit, process)
	case why := <-health.sick:
		c.note(reasonKilling, "Container %s %s, will be restarted", c.spec.Name, why)
		short, done := context.WithTimeout(limit, health.grace)
		defer done()
		c.terminate(life, short, process)
	}
}

// terminate ends the process in good order, and by force when limit is done.
func (c *container) terminate(life, limit context.Context, process *runner.Process) {
	if !errors.Is(context.Cause(life), errNodeEnds) {
		if life.Err() != nil {
			c.note(reasonKilling, "Stopping container %s", c.spec.Name)
		}
		if limit.Err() == nil {
			c.preStop(limit, process)
		}
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		c.pod.node.log.Warn("ending a container", "pod", c.pod.name(), "container", c.spec.Name, "error", err)
	}
	select {
	case <-process.Done():
		return
	case <-limit.Done():
	}
	if err := process.Signal(syscall.SIGKILL); err != nil {
		c.pod.node.log.Warn("killing a container", "pod", c.pod.name(), "container", c.spec.Name, "error", err)
	}
	<-process.Done()
}
