package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/flowcontrol"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/kind-in-a-box/devbox/serving/runner"
)

// Kubernetes' back-off of containers and of pulls: at once, then after 10 s,
// and twice as long every time; forgotten after 10 minutes without a failure.
const (
	firstBackOff = 10 * time.Second
	lastBackOff  = 5 * time.Minute
)

// startError is the exit code of a container that could not be started.
const startError = 128

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
		if !sleep(life, d) {
			return false
		}
	}
	c.backOff.Next(id, time.Now())
	return true
}

// live is one life of the container: image, configuration, process, end. It
// returns !ok if there was none, because life was done before.
func (c *container) live(life, limit context.Context) (code int32, ok bool) {
	image, ok := c.pull(life)
	if !ok {
		return 0, false
	}
	defer image.Release()
	number := c.begin()
	spec, ok := c.configure(life, image, number)
	if !ok {
		return 0, false
	}
	log, err := c.openLog(number)
	if err != nil {
		return c.failedToStart(err), true
	}
	defer c.closeLog(log)
	stdout, stderr := log.stream("stdout"), log.stream("stderr")
	spec.Stdout, spec.Stderr = stdout, stderr
	process, err := c.pod.node.runner.Start(life, spec)
	if err != nil {
		if life.Err() != nil {
			return 0, false
		}
		return c.failedToStart(err), true
	}
	c.started(process, image, spec.Name)
	c.watch(life, limit, process)
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
	return runner.Spec{
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
	}, nil
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

// containerID is what the API server knows one life of a container by.
func containerID(name string) string { return "devbox://" + name }

// started says that the container runs.
func (c *container) started(process *runner.Process, image *runner.Image, name string) {
	up := c.spec.StartupProbe == nil
	c.update(func(s *corev1.ContainerStatus) {
		keepLast(s)
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(process.Started())}}
		s.ContainerID, s.ImageID = containerID(name), imageID(image)
		s.Started = &up
		s.Ready = up && c.spec.ReadinessProbe == nil
	})
	c.note(reasonCreated, "Created container: %s", c.spec.Name)
	c.note(reasonStarted, "Started container %s", c.spec.Name)
	if up {
		c.up.give()
	}
}

// ended says how the container's process did, and returns its code.
func (c *container) ended(process *runner.Process, number int32) int32 {
	exit := process.Exit()
	code := int32(exit.Code)
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	message := c.lastWords(number, code)
	c.update(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, Reason: reason, Message: message, ContainerID: s.ContainerID,
			StartedAt: metav1.NewTime(process.Started()), FinishedAt: metav1.NewTime(exit.At),
		}}
		// An init container that has ended well is ready.
		s.Started, s.Ready = new(false), c.init && code == 0 && !podutil.IsRestartableInitContainer(c.spec)
	})
	return code
}

// failedToStart says that there is no process, and why.
func (c *container) failedToStart(err error) int32 {
	now := metav1.Now()
	c.update(func(s *corev1.ContainerStatus) {
		keepLast(s)
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: startError, Reason: "StartError", Message: err.Error(), StartedAt: now, FinishedAt: now,
		}}
		s.Started, s.Ready = new(false), false
	})
	c.warn(reasonFailed, "Error: %s", err)
	return startError
}

// lastWords is the message that an ended container has left.
func (c *container) lastWords(number, code int32) string {
	const most = 4 << 10
	text, err := os.ReadFile(c.lastWordsPath(number))
	if err == nil && len(text) > 0 {
		return string(text[max(0, len(text)-most):])
	}
	if code != 0 && c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		return lastWords(c.pod.logPath(c.spec.Name, number))
	}
	return ""
}

// waiting says that the container does not run yet, or not now.
func (c *container) waiting(reason, message string) {
	c.update(func(s *corev1.ContainerStatus) {
		keepLast(s)
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
		s.Ready = false
	})
}

// keepLast keeps how the container ended, as the end of the life before.
func keepLast(s *corev1.ContainerStatus) {
	if s.State.Terminated != nil {
		s.LastTerminationState = s.State
	}
}

// update changes the container's status.
func (c *container) update(change func(*corev1.ContainerStatus)) {
	c.pod.update(func(o *observed) {
		all := o.main
		if c.init {
			all = o.init
		}
		for i := range all {
			if all[i].Name == c.spec.Name {
				change(&all[i])
			}
		}
	})
}

// note and warn tell of the container.
func (c *container) note(reason, format string, args ...any) {
	c.pod.node.events.note(c.reference(), reason, format, args...)
}

func (c *container) warn(reason, format string, args ...any) {
	c.pod.node.events.warn(c.reference(), reason, format, args...)
}

func (c *container) reference() *corev1.ObjectReference {
	list := "containers"
	if c.init {
		list = "initContainers"
	}
	return podReference(c.pod.object, fmt.Sprintf("spec.%s{%s}", list, c.spec.Name))
}
