// Command shim is an OCI runtime that hands everything on to runc, after
// taking out of the container's configuration what this machine cannot grant.
//
// Docker asks for CAP_SYS_RESOURCE, lower OOM scores and higher resource limits
// in every privileged container. On a machine whose own capability bounding set
// lacks CAP_SYS_RESOURCE, runc fails on each of these. Where the machine has
// the capability, the configuration is not touched.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const sysResource = "CAP_SYS_RESOURCE"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runtime shim:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	granted, err := canRaiseLimits(string(status))
	if err != nil {
		return err
	}
	if !granted {
		if err := restrict(args); err != nil {
			return err
		}
	}
	return syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}

// canRaiseLimits reads from /proc/self/status whether CAP_SYS_RESOURCE, bit 24,
// is in the bounding set.
func canRaiseLimits(status string) (bool, error) {
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return set&(1<<24) != 0, err
		}
	}
	return false, fmt.Errorf("no capability bounding set in /proc/self/status")
}

// restrict rewrites the files that a runc command line names: the bundle of a
// container to create, the process of an exec.
func restrict(args []string) error {
	if bundle, ok := option(args, "--bundle", "-b"); ok {
		if err := rewrite(filepath.Join(bundle, "config.json"), func(config map[string]any) {
			if process, ok := config["process"].(map[string]any); ok {
				restrictProcess(process)
			}
		}); err != nil {
			return err
		}
	}
	if process, ok := option(args, "--process", "-p"); ok {
		return rewrite(process, restrictProcess)
	}
	return nil
}

// option finds the value of an option written as "--name value", "--name=value"
// or "-n value".
func option(args []string, names ...string) (string, bool) {
	for i, arg := range args {
		name, value, inline := strings.Cut(arg, "=")
		if !slices.Contains(names, name) {
			continue
		}
		if inline {
			return value, true
		}
		if i+1 < len(args) {
			return args[i+1], true
		}
	}
	return "", false
}

// restrictProcess takes out of an OCI process what needs CAP_SYS_RESOURCE.
func restrictProcess(process map[string]any) {
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for name, set := range sets {
			if list, ok := set.([]any); ok {
				sets[name] = slices.DeleteFunc(list, func(c any) bool { return c == sysResource })
			}
		}
	}
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		process["oomScoreAdj"] = 0
	}
	delete(process, "rlimits")
}

// rewrite changes a JSON object in its file and keeps everything it does not
// know, numbers to the digit.
func rewrite(name string, change func(map[string]any)) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	change(object)
	if data, err = json.Marshal(object); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	temporary := name + ".shim"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, name)
}
