package box

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
)

// engine is all that the tests know of an engine; whatever is not here is the
// same on each of them.
type engine interface {
	name() string
	// environment is what `devbox` needs in it here, and an error where
	// something that must be there is not.
	environment() ([]string, error)
	// lastWords is the end of what the box itself logged, where that is kept.
	lastWords(b *Box) string
	// stop ends the machine that the box runs on, as a restart of this one
	// would.
	stop(b *Box) error
	// processesOf are the first processes of a pod's containers, by their
	// names, as proc and kill know them.
	processesOf(b *Box, pod *corev1.Pod) (map[string]int, error)
	// children are those of a process, as proc knows them.
	children(b *Box, pid int) ([]int, error)
	// kill ends processes at once and with no time for a word, and returns
	// when they have ended.
	kill(b *Box, pids ...int) error
	// halt stops processes from running.
	halt(b *Box, pids ...int) error
	// proc reads a file of a process in /proc.
	proc(b *Box, pid int, file string) ([]byte, error)
	// host is the address of this machine that host.devbox.internal leads to.
	host() (string, error)
	// load gives the box an image under its name, as pulling it would.
	load(b *Box, ref name.Tag, img v1.Image) error
	// dial connects to an address as the box's node does.
	dial(b *Box) (func(ctx context.Context, network, address string) (net.Conn, error), error)
	// pause halts everything that the box runs, until resume.
	pause(b *Box) (resume func() error, err error)
	// processes are those of this machine that are the box's.
	processes(b *Box) ([]Process, error)
	// left says in words what there is of the box, its folder and its
	// processes apart.
	left(b *Box) ([]string, error)
}

// kind runs a box in a container of its own.
type kind struct{}

func (kind) name() string { return "kind" }

func (kind) environment() ([]string, error) {
	if os.Getenv("DEVBOX_IMAGES") == "" {
		return nil, errors.New("DEVBOX_IMAGES is not set; run `make e2e`, which builds the images of the box and sets it")
	}
	return []string{"DEVBOX_ENGINE=kind"}, nil
}

func (kind) lastWords(*Box) string { return "" }

// node is the container that is the box's node.
func (kind) node(b *Box) string { return b.name + "-control-plane" }

func (k kind) stop(b *Box) error {
	_, err := docker("stop", k.node(b))
	return err
}

func (k kind) processesOf(b *Box, pod *corev1.Pod) (map[string]int, error) {
	tasks, err := docker("exec", k.node(b), "ctr", "--namespace", "k8s.io", "task", "ls")
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for line := range strings.Lines(tasks) {
		// id pid state
		task := strings.Fields(line)
		for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if c.ContainerID != "containerd://"+task[0] {
				continue
			}
			if found[c.Name], err = strconv.Atoi(task[1]); err != nil {
				return nil, fmt.Errorf("reading the node's tasks: %w", err)
			}
		}
	}
	return found, nil
}

func (k kind) children(b *Box, pid int) ([]int, error) {
	out, err := docker("exec", k.node(b), "sh", "-c", fmt.Sprintf("pgrep -P %d || true", pid)) // none is a failure to pgrep
	if err != nil {
		return nil, err
	}
	var all []int
	for _, field := range strings.Fields(out) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("reading the children of process %d: %w", pid, err)
		}
		all = append(all, child)
	}
	return all, nil
}

// kill is done when it returns: docker's way back is longer than an end.
func (k kind) kill(b *Box, pids ...int) error { return k.signal(b, "-KILL", pids) }

func (k kind) halt(b *Box, pids ...int) error { return k.signal(b, "-STOP", pids) }

func (k kind) signal(b *Box, signal string, pids []int) error {
	kill := []string{"exec", k.node(b), "kill", signal}
	for _, pid := range pids {
		kill = append(kill, strconv.Itoa(pid))
	}
	_, err := docker(kill...)
	return err
}

func (k kind) proc(b *Box, pid int, file string) ([]byte, error) {
	out, err := docker("exec", k.node(b), "cat", fmt.Sprintf("/proc/%d/%s", pid, file))
	return []byte(out), err
}

func (kind) host() (string, error) {
	gateways, err := docker("network", "inspect", "kind", "--format", "{{range .IPAM.Config}}{{println .Gateway}}{{end}}")
	if err != nil {
		return "", err
	}
	for _, gateway := range strings.Fields(gateways) {
		if address, err := netip.ParseAddr(gateway); err == nil && address.Is4() {
			return gateway, nil
		}
	}
	return "", fmt.Errorf("docker's network of kind has no gateway: %q", gateways)
}

func (k kind) load(b *Box, ref name.Tag, img v1.Image) error {
	archive, w := io.Pipe()
	go func() { w.CloseWithError(tarball.Write(ref, img, w)) }()
	defer func() { _ = archive.Close() }() // else a writer without a reader stays
	cmd := exec.Command("docker", "exec", "--interactive", k.node(b), "ctr", "--namespace", "k8s.io", "images", "import", "-")
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("loading %s into the node: %w\n%s", ref, err, out)
	}
	return nil
}

func (k kind) dial(b *Box) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	pid, err := docker("inspect", "--format", "{{.State.Pid}}", k.node(b))
	if err != nil {
		return nil, err
	}
	return dialFrom("/proc/" + strings.TrimSpace(pid) + "/ns/net"), nil
}

func (k kind) pause(b *Box) (func() error, error) {
	_, err := docker("pause", k.node(b))
	return func() error {
		_, err := docker("unpause", k.node(b))
		return err
	}, err
}

func (kind) processes(*Box) ([]Process, error) { return nil, nil } // they are in the container

func (kind) left(b *Box) ([]string, error) {
	var left []string
	for _, list := range [][]string{{"ps", "--all", "--quiet"}, {"volume", "ls", "--quiet"}} {
		out, err := docker(append(list, "--filter", "label=io.x-k8s.kind.cluster="+b.name)...)
		if err != nil {
			return nil, err
		}
		for _, id := range strings.Fields(out) {
			left = append(left, "docker "+list[0]+" "+id)
		}
	}
	return left, nil
}

func docker(args ...string) (string, error) {
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// embedded runs a box as a process of this machine.
type embedded struct{}

func (embedded) name() string { return "embedded" }

func (embedded) environment() ([]string, error) {
	return []string{"DEVBOX_ENGINE=embedded", "DEVBOX_IMAGES="}, nil
}

func (embedded) lastWords(b *Box) string {
	log, err := os.ReadFile(filepath.Join(b.Folder(), "box.log"))
	if err != nil {
		return "" // it is not up
	}
	return string(log[max(0, len(log)-4<<10):])
}

func (e embedded) stop(b *Box) error {
	pid, err := e.pid(b)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (embedded) processesOf(b *Box, pod *corev1.Pod) (map[string]int, error) {
	found := map[string]int{}
	for _, c := range pod.Spec.Containers {
		records, err := filepath.Glob(filepath.Join(b.Folder(), "data", "runner", "running", fmt.Sprintf("%s-%s-*.json", pod.UID, c.Name)))
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			data, err := os.ReadFile(record)
			if err != nil {
				return nil, err
			}
			var process struct{ PID int }
			if err := json.Unmarshal(data, &process); err != nil {
				return nil, fmt.Errorf("reading %s: %w", record, err)
			}
			found[c.Name] = process.PID
		}
	}
	return found, nil
}

// children are none that count: a container is one process, and what it starts
// is its own affair.
func (embedded) children(*Box, int) ([]int, error) { return nil, nil }

func (embedded) halt(_ *Box, pids ...int) error { return signal(syscall.SIGSTOP, pids) }

func signal(s syscall.Signal, pids []int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil {
			return err
		}
	}
	return nil
}

func (embedded) kill(_ *Box, pids ...int) error {
	if err := signal(syscall.SIGKILL, pids); err != nil {
		return err
	}
	for _, pid := range pids { // a process takes connections until it has closed its sockets
		for {
			p, err := process(fmt.Sprintf("/proc/%d/stat", pid))
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil && p == nil {
				break
			}
			if err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

func (embedded) proc(_ *Box, pid int, file string) ([]byte, error) {
	return os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
}

func (embedded) host() (string, error) { return "127.0.0.1", nil }

func (embedded) load(_ *Box, ref name.Tag, _ v1.Image) error {
	return fmt.Errorf("the embedded engine takes %s from a registry only", ref)
}

func (embedded) dial(*Box) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	return new(net.Dialer).DialContext, nil
}

func (e embedded) pause(b *Box) (func() error, error) {
	var halted []Process
	resume := func() error {
		for _, p := range slices.Backward(halted) {
			if err := syscall.Kill(p.PID, syscall.SIGCONT); err != nil {
				return err
			}
		}
		return nil
	}
	for { // the box's own process is the first, and then starts no more
		all, err := e.processes(b)
		if err != nil || len(all) == len(halted) {
			return resume, err
		}
		for _, p := range all[len(halted):] {
			if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
				return resume, err
			}
		}
		halted = all
	}
}

// errNotUp says that there is no box process.
var errNotUp = errors.New("the box's process does not run")

// pid is the number of the box's process.
func (embedded) pid(b *Box) (int, error) {
	data, err := os.ReadFile(filepath.Join(b.Folder(), "process.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, errNotUp
	}
	if err != nil {
		return 0, err
	}
	var process struct{ PID int }
	if json.Unmarshal(data, &process) != nil { // it has just begun
		return 0, errNotUp
	}
	if !(Process{PID: process.PID}).concerns(b.home) { // the number may be another's by now
		return 0, errNotUp
	}
	return process.PID, nil
}

func (e embedded) processes(b *Box) ([]Process, error) {
	pid, err := e.pid(b)
	if errors.Is(err, errNotUp) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := processes()
	return family(all, pid), err
}

func (embedded) left(b *Box) ([]string, error) {
	var left []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, b.home) {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	return left, nil
}
