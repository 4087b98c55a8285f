package queue

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mostResident is what queue-proxy may keep of a machine's memory, since
// every pod has one.
const mostResident = 8 << 10 // KiB

// TestMemory runs queue-proxy as it is in a pod, with tracing off and with all
// requests traced, to a collector that takes nothing.
func TestMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the kernel does not say what a process keeps")
	}
	program := filepath.Join(t.TempDir(), "queue")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/kind-in-a-box/devbox/cmd/queue")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	user := userServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	port := "USER_PORT=" + strconv.Itoa(int(portOf(t, user)))
	for name, env := range map[string][]string{
		"untraced": {port},
		"traced":   {port, "TRACING_PROTOCOL=zipkin", "TRACING_ENDPOINT=http://127.85.0.2:9", "TRACING_SAMPLING_RATE=1"},
	} {
		t.Run(name, func(t *testing.T) { measure(t, program, env) })
	}
}

func measure(t *testing.T, program string, env []string) {
	// It has its usual ports, and so an address of its own.
	const address = "127.85.0.1"
	cmd := exec.Command(program)
	cmd.Env = append(env, "QUEUE_LISTEN_HOST="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	url := "http://" + address + ":8012"
	for get(t, url) != "200 ok" {
		<-time.After(time.Millisecond)
	}
	idle := resident(t, cmd.Process.Pid)
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 200 {
				if got := get(t, url); got != "200 ok" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	clients.Wait()
	t.Logf("resident: %d KiB after the first request, %d KiB after 4,000 from 20 clients", idle, resident(t, cmd.Process.Pid))
	if idle > mostResident {
		t.Errorf("%d KiB are resident, at most %d may be", idle, mostResident)
	}
}

// resident is what a process has in memory, in KiB: its own and the program's.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
