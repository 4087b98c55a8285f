package node

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listening returns the TCP ports that a process and its children listen on,
// as far as /proc can be read.
func listening(pid int) []int {
	inodes := map[string]bool{}
	for _, p := range family(pid) {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p))
		for _, link := range links {
			to, err := os.Readlink(link)
			if inode, ok := strings.CutPrefix(to, "socket:["); err == nil && ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	var ports []int
	for _, table := range []string{"tcp", "tcp6"} {
		ports = append(ports, listeners(fmt.Sprintf("/proc/%d/net/%s", pid, table), inodes)...)
	}
	return ports
}

// family is a process and all that descend from it.
func family(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			for _, word := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(word); err == nil {
					all = append(all, child)
				}
			}
		}
	}
	return all
}

// listeners returns the ports in a table of sockets that have one of inodes
// and listen.
func listeners(table string, inodes map[string]bool) []int {
	file, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer file.Close()
	const local, state, inode, listen = 1, 3, 9, "0A"
	var ports []int
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) <= inode || f[state] != listen || !inodes[f[inode]] {
			continue
		}
		_, hex, _ := strings.Cut(f[local], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
			ports = append(ports, int(port))
		}
	}
	return ports
}
