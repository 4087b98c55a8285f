//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

// impatient is a Service that would be timed out, ended and taken out of the
// traffic while it stands.
const impatient = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello}
spec:
  template:
    spec:
      timeoutSeconds: 1
      containers:
        - image: ko://example.com/hello
          livenessProbe: {httpGet: {path: /}, periodSeconds: 1, failureThreshold: 1}
          readinessProbe: {httpGet: {path: /}, periodSeconds: 1, failureThreshold: 1}
`

// debug lives a while with a debugger: it stops the program, looks into it and
// has it go on; after a save it finds it at the same address.
func (m *manifests) debug(t *testing.T) {
	if code := m.up.Interrupt(); code != 0 {
		t.Errorf("Ctrl-C: exit %d", code)
	}
	dir := box.Project(t, "hello")
	main := filepath.Join(dir, "main.go")
	box.Write(t, filepath.Join(dir, "service.yaml"), impatient)
	m.up = m.Up("--port", "18082", "--debug", "hello", dir)
	address := m.up.Wait("where debuggers connect", soon, func(e event.Event) bool { return e.Kind == event.Debugging }).URL
	first := m.up.Wait("the first revision", soon, live).Revision
	line := lineOf(t, main, "Fprintf")

	d := attach(t, address)
	stopped := d.breakAt(main, line)
	answer := m.ask()
	d.stands(stopped, line)
	if got := d.value("target"); got != "World" {
		t.Errorf("target is %q", got)
	}
	if second := attach(t, address); second.running() {
		t.Error("to a second debugger it runs")
	}
	m.suspended(t, first)
	d.goOn()
	answered(t, answer, "Hello World!")

	answer = m.ask()
	box.Eventually(t, "it stands again", func() bool { return !d.running() })
	mark := m.up.Mark()
	box.Edit(t, main, `"Hello `, `"Howdy `)
	m.up.WaitAfter(mark, "the next revision", soon, live)
	answered(t, answer, "Hello World!")
	box.Eventually(t, "the debugger is cut off", func() bool { return d.client.Call("RPCServer.State", nonBlocking, new(any)) != nil })

	d = attach(t, address)
	stopped = d.breakAt(main, line)
	answer = m.ask()
	d.stands(stopped, line)
	_ = d.client.Close() // and what stands goes on
	answered(t, answer, "Howdy World!")
}

// ask asks the service, and has the answer come in its time.
func (m *manifests) ask() <-chan string {
	answer := make(chan string, 1)
	go func() {
		status, body, err := m.Get(host, "/")
		answer <- fmt.Sprintf("%d %s%v", status, body, err)
	}()
	return answer
}

func answered(t *testing.T, answer <-chan string, want string) {
	t.Helper()
	select {
	case got := <-answer:
		if want = "200 " + want + "<nil>"; got != want {
			t.Errorf("it answers %q, want %q", got, want)
		}
	case <-time.After(soon):
		t.Fatal("it does not answer")
	}
}

// suspended looks whether anything could happen to what stands.
func (m *manifests) suspended(t *testing.T, name string) {
	t.Helper()
	var r servingv1.Revision
	if err := m.Serving().Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &r); err != nil {
		t.Fatal(err)
	}
	if *r.Spec.TimeoutSeconds != servingv1.MaxTimeoutSeconds || r.Annotations[servingv1.AutoscalingPrefix+"min-scale"] != "1" {
		t.Errorf("timeoutSeconds %d, annotations %v", *r.Spec.TimeoutSeconds, r.Annotations)
	}
	for _, pod := range m.PodsOf("default", servingv1.RevisionLabel+"="+name) {
		for _, c := range pod.Spec.Containers {
			if c.LivenessProbe != nil {
				t.Errorf("container %s has a liveness probe", c.Name)
			}
		}
	}
}

func lineOf(t *testing.T, file, word string) int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(content), word)
	if !ok {
		t.Fatalf("%s has no %s", file, word)
	}
	return strings.Count(before, "\n") + 1
}

// debugger speaks to Delve as its own clients do.
type debugger struct {
	t      *testing.T
	client *rpc.Client
}

var nonBlocking = struct{ NonBlocking bool }{true}

// state is what Delve says of a program.
type state struct {
	State struct {
		Running       bool
		CurrentThread *struct {
			Line int `json:"line"`
		} `json:"currentThread"`
	}
}

func attach(t *testing.T, address string) *debugger {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	d := &debugger{t, jsonrpc.NewClient(connection)}
	t.Cleanup(func() { _ = d.client.Close() })
	return d
}

func (d *debugger) call(method string, in, out any) {
	d.t.Helper()
	if err := d.client.Call("RPCServer."+method, in, out); err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
}

func (d *debugger) running() bool {
	d.t.Helper()
	var s state
	d.call("State", nonBlocking, &s)
	return s.State.Running
}

// breakAt sets a breakpoint, and is told when the program stands.
func (d *debugger) breakAt(file string, line int) <-chan *rpc.Call {
	d.t.Helper()
	d.call("Command", map[string]string{"name": "halt"}, new(any))
	d.call("CreateBreakpoint", map[string]any{"Breakpoint": map[string]any{"file": file, "line": line}}, new(any))
	return d.goOn()
}

// goOn has the program go on, until it stands again.
func (d *debugger) goOn() <-chan *rpc.Call {
	d.t.Helper()
	stands := d.client.Go("RPCServer.Command", map[string]string{"name": "continue"}, &state{}, make(chan *rpc.Call, 1)).Done
	box.Eventually(d.t, "it goes on", d.running)
	return stands
}

func (d *debugger) stands(at <-chan *rpc.Call, line int) {
	d.t.Helper()
	select {
	case call := <-at:
		now := call.Reply.(*state).State
		if call.Error != nil || now.CurrentThread == nil || now.CurrentThread.Line != line {
			d.t.Fatalf("it stands at %+v, %v, want line %d", now.CurrentThread, call.Error, line)
		}
	case <-time.After(soon):
		d.t.Fatal("it does not stop")
	}
}

func (d *debugger) value(expression string) string {
	d.t.Helper()
	var out struct {
		Variable struct {
			Value string `json:"value"`
		}
	}
	d.call("Eval", map[string]any{
		"Scope": map[string]int{"GoroutineID": -1}, "Expr": expression, "Cfg": map[string]any{"FollowPointers": true, "MaxStringLen": 64},
	}, &out)
	return out.Variable.Value
}
