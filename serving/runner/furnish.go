package runner

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
)

// furnish writes into upper, the directory that lies over the layers, what a
// container has beside its image: the names that s says, or those that the
// machine knows; and the directories that would have the wrong mode because a
// layer has something in them without saying what they are.
func (v view) furnish(upper string, s Spec) error {
	if err := v.correct(upper); err != nil {
		return err
	}
	etc := filepath.Join(upper, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	files := map[string][]byte{"hosts": s.Hosts, "resolv.conf": s.ResolvConf}
	if s.Hosts == nil {
		files["hosts"] = machineHosts(s.Hostname)
	}
	if s.ResolvConf == nil {
		files["resolv.conf"], _ = os.ReadFile("/etc/resolv.conf") // a machine without one is fine
	}
	if s.Hostname != "" {
		files["hostname"] = []byte(s.Hostname + "\n")
	}
	for name, content := range files {
		file := filepath.Join(etc, name)
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
		if err := os.Chmod(file, 0o644); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}

// machineHosts are the names that the machine knows, and the process's own.
func machineHosts(hostname string) []byte {
	hosts, _ := os.ReadFile("/etc/hosts") // a machine without one is fine
	if len(hosts) == 0 {
		hosts = []byte("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
	}
	if hostname == "" {
		return hosts
	}
	return fmt.Appendf(hosts, "\n127.0.0.1\t%s\n", hostname)
}

// correct makes the directories whose attributes the layers that only pass
// through them would get wrong. A merged directory has those of the uppermost
// layer, and what lies in upper is above them all.
func (v view) correct(upper string) error {
	names := []string{".", "etc"}
	for _, l := range v {
		names = append(names, l.record.Implied...)
	}
	slices.Sort(names) // so that parents come first
	for _, name := range slices.Compact(names) {
		info := v.explicit(name)
		if info == nil && name != "." {
			continue // nobody says, or it is no directory
		}
		if err := v.shape(upper, name, info); err != nil {
			return err
		}
	}
	return nil
}

// explicit returns what the uppermost layer that says so says of a directory.
func (v view) explicit(name string) fs.FileInfo {
	for i, l := range v {
		info, err := os.Lstat(filepath.Join(l.dir, filepath.FromSlash(name)))
		if err == nil && (!l.direct(name) || !info.IsDir()) {
			return nil
		}
		if err == nil && !slices.Contains(l.record.Implied, name) {
			return info
		}
		if l.hides(name) || i == len(v)-1 {
			return nil
		}
	}
	return nil
}

// shape makes a directory, and those above it, with the attributes.
func (v view) shape(upper, name string, info fs.FileInfo) error {
	if parent := path.Dir(name); parent != "." {
		if _, err := os.Lstat(filepath.Join(upper, parent)); err != nil {
			if err := v.shape(upper, parent, v.explicit(parent)); err != nil {
				return err
			}
		}
	}
	dir := filepath.Join(upper, filepath.FromSlash(name))
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if info == nil {
		return os.Chmod(dir, 0o755)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Lchown(dir, int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	return os.Chmod(dir, info.Mode()&bits)
}
