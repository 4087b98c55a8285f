package network

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
)

// ordinary tells a copy of the test what it is: the user's, who starts another
// as devbox starts a box's process, or that.
const ordinary = "NETWORK_TEST_ORDINARY"

func TestMain(m *testing.M) {
	if os.Getenv(ordinary) != "user" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), ordinary+"=box")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = process.Attributes()[0]
	if err := cmd.Run(); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// TestAsOrdinaryUser runs the tests again in the way in which a user who is not
// root has them.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the user is an ordinary one already")
	}
	const nobody = 65534
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.timeout=2m")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), ordinary+"=user")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
