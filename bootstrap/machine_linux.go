package bootstrap

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// measure looks at this machine; place is where the engine keeps its files.
func measure(place string) machine {
	m := machine{
		memory:    available(),
		instances: number("/proc/sys/fs/inotify/max_user_instances"),
		watches:   number("/proc/sys/fs/inotify/max_user_watches"),
	}
	var fs unix.Statfs_t
	if unix.Statfs(place, &fs) == nil { // elsewhere when docker is remote
		m.disk = fs.Bavail * uint64(fs.Bsize)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		m.inotify = err
		return m
	}
	_ = unix.Close(fd)
	return m
}

// available is the memory that the kernel says new programs can have.
func available() uint64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 1 && f[0] == "MemAvailable:" {
			kib, _ := strconv.ParseUint(f[1], 10, 64) // 0, not known, if it is no number
			return kib << 10
		}
	}
	return 0
}

func number(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(data))) // 0, not known, if it is no number
	return n
}

// listener names the process that listens on the port, "" where it is not
// known or not ours to see.
func listener(port int) string {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, inode := range listening(data, port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	if len(sockets) == 0 {
		return ""
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well formed
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil && sockets[to] {
			process := filepath.Dir(filepath.Dir(f))
			name, _ := os.ReadFile(filepath.Join(process, "comm"))
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
		}
	}
	return ""
}

// listening returns the inodes of the sockets of a /proc/net/tcp table that
// listen on the port.
func listening(table []byte, port int) []string {
	const listen = "0A"
	var inodes []string
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && f[3] == listen && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}
