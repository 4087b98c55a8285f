package activator

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// crowd is many clients, each with a connection of its own and one request on
// it. They are a process of their own, so that what they cost is not taken
// for what they cost the activator.
type crowd struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

const (
	crowdAddress = "DEVBOX_TEST_CROWD_ADDRESS"
	crowdSize    = "DEVBOX_TEST_CROWD_SIZE"
	crowdRequest = "DEVBOX_TEST_CROWD_REQUEST"
)

// newCrowd starts n clients and returns when each has sent request.
func newCrowd(t testing.TB, address string, n int, request string) *crowd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrowd$")
	cmd.Env = append(os.Environ(), crowdAddress+"="+address, crowdSize+"="+strconv.Itoa(n), crowdRequest+"="+request)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	t.Cleanup(c.leave)
	if !c.lines.Scan() || c.lines.Text() != "sent" {
		t.Fatalf("the crowd says %q", c.lines.Text())
	}
	return c
}

// answers waits until every client has its answer, and returns how many got
// which.
func (c *crowd) answers() map[string]int {
	c.t.Helper()
	fmt.Fprintln(c.stdin, "read")
	answers := make(map[string]int)
	for c.lines.Scan() {
		if c.lines.Text() == "all" {
			return answers
		}
		answers[c.lines.Text()]++
	}
	c.t.Fatal("the crowd has gone")
	return nil
}

// leave closes all connections.
func (c *crowd) leave() {
	_ = c.stdin.Close()
	_ = c.cmd.Wait() // which has nothing to say
}

// TestCrowd is the process of a crowd.
func TestCrowd(t *testing.T) {
	address := os.Getenv(crowdAddress)
	if address == "" {
		t.Skip("only as a process of other tests")
	}
	n, err := strconv.Atoi(os.Getenv(crowdSize))
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]net.Conn, n)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", address); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conns[i], os.Getenv(crowdRequest))
	}
	fmt.Println("sent")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for _, conn := range conns {
			fmt.Println(answerOn(conn))
		}
		fmt.Println("all")
	}
}

// answerOn reads one response: its status, Retry-After and body.
func answerOn(conn net.Conn) string {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	text := read(resp)
	if after := resp.Header.Get("Retry-After"); after != "" {
		text += " (again in " + after + ")"
	}
	return strings.ReplaceAll(text, "\n", " ")
}
