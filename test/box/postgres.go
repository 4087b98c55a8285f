package box

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts Debian's Postgres on this machine, as a developer has it, until
// the test ends, and returns its port. It listens where the box's pods find this
// machine. Whoever connects is taken for who he says he is.
func (b *Box) Postgres(t testing.TB) int {
	t.Helper()
	host, err := b.engine.host()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatal("there is no Postgres on this machine: apt-get install postgresql")
	}
	programs := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "devbox-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // whom Postgres refuses to be
		as.Credential = ownedBy(t, dir, "postgres")
	}
	data := filepath.Join(dir, "data")
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, args[0]), args[1:]...)
		cmd.Dir, cmd.SysProcAttr = dir, as
		return cmd
	}
	if out, err := run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("making a database: %v\n%s", err, out)
	}
	allow(t, filepath.Join(data, "pg_hba.conf"))
	port := freePort(t, host)
	var words bytes.Buffer
	server := run("postgres", "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses="+host, "-c", "unix_socket_directories="+dir, "-c", "fsync=off")
	server.Stderr = &words
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // its fast end
		if err := server.Wait(); err != nil {
			t.Errorf("Postgres ended badly: %v\n%s", err, &words)
		}
	})
	Eventually(t, "Postgres takes connections", func() bool {
		return run("pg_isready", "-q", "-h", host, "-p", strconv.Itoa(port)).Run() == nil
	})
	return port
}

// allow has a database's rules let everybody in, from wherever the pods seem to be.
func allow(t testing.TB, rules string) {
	t.Helper()
	f, err := os.OpenFile(rules, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("host all all all trust\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ownedBy gives a directory to a user, and says how to be one.
func ownedBy(t testing.TB, dir, name string) *syscall.Credential {
	t.Helper()
	who, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.Atoi(who.Uid)
	gid, errGID := strconv.Atoi(who.Gid)
	if errUID != nil || errGID != nil {
		t.Fatal(fmt.Errorf("%s has the ids %s and %s", name, who.Uid, who.Gid))
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// freePort is a port of an address of this machine that nobody has.
func freePort(t testing.TB, host string) int {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
