package runner

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/serving/runner/internal/container"
)

// defaultPath is where programs are looked for in an image that does not say.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// plan works out what to run of the Spec and the image.
func (r *Runner) plan(s Spec) (container.Spec, error) {
	if s.Name == "" || s.Image == nil || !filepath.IsAbs(s.Dir) {
		return container.Spec{}, fmt.Errorf("a process needs an image, a name and an absolute directory; it has %q in %q", s.Name, s.Dir)
	}
	config := s.Image.record.Config.Config
	c := container.Spec{Args: s.Args, Dir: cmp.Or(s.WorkingDir, config.WorkingDir, "/")}
	if c.Args == nil {
		c.Args = slices.Concat(config.Entrypoint, config.Cmd)
	}
	if len(c.Args) == 0 {
		return container.Spec{}, fmt.Errorf("image %s has neither entrypoint nor cmd; name a command", s.Image.ref)
	}
	files := r.store.view(s.Image.record)
	if !r.isolation.Root {
		return c, files.direct(&c, s, config, r.isolation.Reason)
	}
	u, err := files.lookup(cmp.Or(s.User, config.User))
	if err != nil {
		return container.Spec{}, err
	}
	c.Env = environment(config.Env, s.Env, defaultPath, "HOME="+u.home)
	if s.Hostname != "" {
		c.Env = environment([]string{"HOSTNAME=" + s.Hostname}, c.Env)
	}
	c.Dir = path.Join("/", c.Dir)
	c.Root = &container.Root{
		Dir: s.Dir, Mounts: mounts(s.Mounts), ReadOnly: s.ReadOnlyRoot, Hostname: s.Hostname,
		OwnPIDs: r.isolation.PID, UserNS: r.how.userNS, UID: u.uid, GID: u.gid, Groups: u.groups,
	}
	if s.In != nil {
		c.Root.Shared = true
		return c, r.how.canJoin()
	}
	for _, l := range files {
		c.Root.Layers = append(c.Root.Layers, l.dir)
	}
	if len(files) == 0 { // overlayfs wants one; this is empty
		c.Root.Layers = []string{filepath.Join(s.Dir, "root")}
	}
	return c, nil
}

// environment merges lists of "K=V"; the later wins. Defaults are for what no
// list has.
func environment(under, over []string, defaults ...string) []string {
	var env []string
	at := map[string]int{}
	for _, kv := range slices.Concat(defaults, under, over) {
		key, _, _ := strings.Cut(kv, "=")
		if i, ok := at[key]; ok {
			env[i] = kv
			continue
		}
		at[key] = len(env)
		env = append(env, kv)
	}
	return env
}

// mounts puts those with the shorter path first: others may lie in them.
func mounts(ms []Mount) []container.Mount {
	var sorted []container.Mount
	for _, m := range ms {
		sorted = append(sorted, container.Mount{Source: m.Source, Target: path.Join("/", m.Target), ReadOnly: m.ReadOnly})
	}
	slices.SortStableFunc(sorted, func(a, b container.Mount) int {
		return cmp.Compare(strings.Count(a.Target, "/"), strings.Count(b.Target, "/"))
	})
	return sorted
}

// prepare makes the process's directory, and in it what the process finds in
// its root beside the image.
func (r *Runner) prepare(s Spec, c container.Spec) error {
	if err := os.MkdirAll(filepath.Dir(s.Dir), 0o700); err != nil {
		return fmt.Errorf("making its directory: %w", err)
	}
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return fmt.Errorf("making its directory: %w", err)
	}
	if c.Root == nil || c.Root.Shared {
		return nil
	}
	if err := makeDirs(s.Dir, "upper", "work", "root"); err != nil {
		return err
	}
	if err := r.store.view(s.Image.record).furnish(filepath.Join(s.Dir, "upper"), s); err != nil {
		return fmt.Errorf("preparing its root: %w", err)
	}
	return nil
}
