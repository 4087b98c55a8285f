package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// victim tells a copy of the test to be a program with a Runner, which
// another test kills: the directory to work in, and the image to run.
const (
	victimDir    = "RUNNER_TEST_VICTIM"
	victimImage  = "RUNNER_TEST_IMAGE"
	victimDirect = "RUNNER_TEST_DIRECT"
	ordinary     = "RUNNER_TEST_ORDINARY" // a copy that is an ordinary user
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		if err := beVictim(dir, os.Getenv(victimImage)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

// beVictim starts a few processes, and says when they run.
func beVictim(dir, ref string) error {
	direct, _ := strconv.ParseBool(os.Getenv(victimDirect))
	r, err := New(filepath.Join(dir, "runner"), Options{Direct: direct})
	if err != nil {
		return err
	}
	ctx := context.Background()
	image, err := r.Pull(ctx, ref, false, nil)
	if err != nil {
		return err
	}
	for i := range 3 {
		p, err := r.Start(ctx, Spec{
			Image: image, Name: fmt.Sprint("victim-", i), Dir: filepath.Join(dir, "processes", fmt.Sprint(i)),
			Args: []string{"/ko-app/payload", "fork", "and stay"},
		})
		if err != nil {
			return err
		}
		fmt.Println(p.PID())
	}
	fmt.Println("running")
	return nil
}

// Everything must work for an ordinary user too, so root runs the tests again
// as one.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(ordinary) != "" {
		t.Skip("the user is an ordinary one already")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "ordinary")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := payload()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "payload")
	if err := os.WriteFile(binary, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, binary} {
		if err := os.Chown(d, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	// The test's own file may lie where that user cannot go; this name of it
	// leads there all the same.
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.timeout=5m")
	if testing.Short() {
		cmd.Args = append(cmd.Args, "-test.short")
	}
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), ordinary+"=1", "TMPDIR="+dir, "RUNNER_TEST_PAYLOAD="+binary, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}
