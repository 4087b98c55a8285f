package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"

	"github.com/kind-in-a-box/devbox/serving/runner"
)

// opens says what a command in the container is started as; nil: it does not run.
func (c *container) opens(entry *runner.Spec) {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	c.pod.entries[c.spec.Name] = entry
}

// entry is a copy of what a command in a container is started as, under a name
// that no other has.
func (p *pod) entry(container string) (runner.Spec, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	entry := p.entries[container]
	if entry == nil {
		return runner.Spec{}, fmt.Errorf("container %q of pod %q does not run", container, p.object.Name)
	}
	spec, suffix := *entry, fmt.Sprintf("-exec-%d", p.node.commands.Add(1))
	spec.Name, spec.Dir = spec.Name+suffix, spec.Dir+suffix
	return spec, nil
}

// serveExec answers kubectl exec. The command ends with its container, and when
// nobody listens any more.
func (n *node) serveExec(w http.ResponseWriter, r *http.Request) {
	pod := n.find(r.PathValue("namespace"), r.PathValue("pod"))
	if pod == nil {
		http.Error(w, fmt.Sprintf("pod %q is not on this node", r.PathValue("pod")), http.StatusNotFound)
		return
	}
	spec, err := pod.entry(r.PathValue("container"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, execution{n.runner, spec, options.Stdin}, pod.name(), string(pod.object.UID),
		spec.Name, r.URL.Query()["command"], options, streamIdle, streamCreation, remotecommand.SupportedStreamingProtocols)
}

// listened returns a context that ends when nobody listens to what is written to
// out any more. The client never writes there: what ends reading is its end, also
// where its connection is kept. A websocket does not tell.
func listened(ctx context.Context, out io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if stream, ok := out.(interface {
		io.Reader
		Reset() error
	}); ok {
		go func() { // ends with the stream, which the caller closes
			_, _ = io.Copy(io.Discard, stream)
			cancel()
		}()
	}
	return ctx, cancel
}

// execution is a command that is to run in a container.
type execution struct {
	runner *runner.Runner
	spec   runner.Spec
	reads  bool // what comes in is the command's to read
}

// ExecInContainer runs the command until it ends, or the container, or ctx.
func (e execution) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader, out, errOut io.WriteCloser,
	tty bool, sizes <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	e.spec.Args = command
	ctx, cancel := listened(ctx, out)
	defer cancel()
	if !e.reads {
		in = nil
	}
	if tty {
		return e.onTerminal(ctx, in, out, sizes)
	}
	return e.piped(ctx, in, out, errOut)
}

// piped gives the command its streams; those that are nil are not there.
func (e execution) piped(ctx context.Context, in io.Reader, out, errOut io.Writer) error {
	e.spec.Stdout, e.spec.Stderr = out, errOut
	if in == nil {
		return e.run(ctx)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	go func() { // ends with the stream, which the caller closes, or with the command
		_, _ = io.Copy(write, in)
		_ = write.Close()
	}()
	e.spec.Stdin = read
	return e.run(ctx)
}

// onTerminal gives it a terminal, as large as the one that it is shown on.
func (e execution) onTerminal(ctx context.Context, in io.Reader, out io.Writer, sizes <-chan remotecommand.TerminalSize) error {
	screen, terminal, err := openTerminal()
	if err != nil {
		return err
	}
	e.spec.Stdin, e.spec.Stdout, e.spec.Stderr, e.spec.Terminal = terminal, terminal, terminal, true
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(out, screen) // until nobody has the terminal any more
	}()
	if in != nil {
		go func() { _, _ = io.Copy(screen, in) }() // ends with the stream
	}
	go func() {
		for size := range sizes {
			_ = resize(screen, size) // else it stays as it is
		}
	}()
	err = e.run(ctx)
	<-shown
	_ = screen.Close() // it was never a file of anybody
	return err
}

// run starts the command, and waits for its end.
func (e execution) run(ctx context.Context) error {
	process, err := e.runner.Start(ctx, e.spec)
	if e.spec.Stdin != nil {
		_ = e.spec.Stdin.Close() // the command has it
	}
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
	case <-e.spec.In.Done(): // where it has no process ids of its own, nothing else ends the command
	}
	if err := process.Remove(); err != nil {
		return err
	}
	if code := process.Exit().Code; code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: code}
	}
	return nil
}
