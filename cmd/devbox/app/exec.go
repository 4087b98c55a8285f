package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/kubectl/pkg/util/term"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func (d *devbox) execCommand() *cobra.Command {
	var stdin, tty bool
	cmd := &cobra.Command{
		Use:   "exec service -- command [argument...]",
		Short: "Run a command in a pod of a service",
		Long: `Run a command in the container that takes a service's requests, in the newest of its
pods that is ready, and end with the command's own exit code, or with 127 where the
image has no such program. An image that ko made
has the program and no shell: .ko.yaml can name a base image that has one. Where it
ends with Ctrl-C, on the embedded engine the command does too.`,
		Example: `  devbox exec hello -- /ko-app/hello -version
  devbox exec -it hello -- sh`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			command := args[1:]
			if cmd.ArgsLenAtDash() != 1 || len(command) == 0 {
				return &problem{code: codeUsage, cause: errors.New("exec takes a service, and the command behind --"), next: "devbox exec " + args[0] + " -- COMMAND"}
			}
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			pod, container, err := c.newestPod(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.exec(cmd.Context(), pod, &corev1.PodExecOptions{
				Container: container, Command: command, Stdin: stdin, Stdout: true, Stderr: !tty, TTY: tty,
			})
		},
	}
	cmd.Flags().BoolVarP(&stdin, "stdin", "i", false, "hand the command what comes in here")
	cmd.Flags().BoolVarP(&tty, "tty", "t", false, "give the command a terminal")
	return cmd
}

// newestPod is the newest pod of a service that is ready, and its container that
// takes the requests.
func (c *cluster) newestPod(ctx context.Context, name string) (pod *corev1.Pod, container string, err error) {
	s, err := c.oneService(ctx, "exec", name)
	if err != nil {
		return nil, "", err
	}
	revisions, pods, err := c.running(ctx, s)
	if err != nil {
		return nil, "", classify(codeCluster, err, c.d.command("status"))
	}
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || !isReadyPod(&p) })
	if len(pods) == 0 {
		return nil, "", &problem{
			code: codeFailure, cause: fmt.Errorf("no pod of %s is ready", s.Name),
			next: fmt.Sprintf("a request starts one: curl -H 'Host: %s' %s", c.host(s), c.box.Gateway()),
		}
	}
	newest := slices.MaxFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	container = servingv1.UserContainer
	for i := range revisions {
		if serving := revisions[i].Spec.ServingContainer(); serving != nil && revisions[i].Name == newest.Labels[servingv1.RevisionLabel] {
			container = cmp.Or(serving.Name, container)
		}
	}
	return &newest, container, nil
}

// exec runs a command in a pod, until it ends.
func (c *cluster) exec(ctx context.Context, pod *corev1.Pod, options *corev1.PodExecOptions) error {
	clients, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connecting to the box: %w", err)
	}
	to := clients.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
		SubResource("exec").VersionedParams(options, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewSPDYExecutor(c.config, "POST", to)
	if err != nil {
		return fmt.Errorf("connecting to pod %s: %w", pod.Name, err)
	}
	t := term.TTY{In: c.d.stdin, Out: c.d.stdout, Raw: options.TTY}
	if options.TTY && !t.IsTerminalIn() {
		return &problem{code: codeUsage, cause: errors.New("-t gives the command a terminal, and there is none here"), next: "the same without -t"}
	}
	streams := remotecommand.StreamOptions{Stdout: c.d.stdout, Tty: options.TTY}
	if options.Stdin {
		streams.Stdin = c.d.stdin
	}
	if options.Stderr {
		streams.Stderr = c.d.stderr
	}
	if options.TTY {
		streams.TerminalSizeQueue = sizes{t.MonitorSize(t.GetSize())}
	}
	err = t.Safe(func() error { return executor.StreamWithContext(ctx, streams) })
	return ofCommand(pod, options.Command[0], err)
}

// sizes are those of a terminal, as client-go wants them.
type sizes struct{ of term.TerminalSizeQueue }

func (s sizes) Next() *remotecommand.TerminalSize {
	size := s.of.Next()
	if size == nil { // the command has ended
		return nil
	}
	return &remotecommand.TerminalSize{Width: size.Width, Height: size.Height}
}

// missing is what an embedded box, and a cluster's runc, say of a program that is
// not in the image.
var missing = regexp.MustCompile(`no such (program|file) in the image|exec: "[^"]*": (executable file not found in \$PATH|stat .*: no such file or directory)`)

// codeMissing is a shell's own for a program that is not there.
const codeMissing = 127

// ofCommand is how a command has ended: its own exit code is ours.
func ofCommand(pod *corev1.Pod, program string, err error) error {
	if ended, ok := errors.AsType[exec.CodeExitError](err); ok {
		return &problem{code: ended.Code, cause: fmt.Errorf("the command in pod %s ended with exit code %d", pod.Name, ended.Code)}
	}
	if err != nil && missing.MatchString(err.Error()) {
		return &problem{
			code: codeMissing, cause: fmt.Errorf("the image of pod %s has no program %s", pod.Name, program),
			next: "an image that ko made has its program and no shell: .ko.yaml can name a base image that has one",
		}
	}
	return classify(codeFailure, err, "")
}
