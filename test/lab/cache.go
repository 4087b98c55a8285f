package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A cache keeps artefacts in folders named by their keys:
//
//	DIR/artefacts/<name>-<key>          finished; nothing changes it any more
//	DIR/artefacts/<name>-<key>.partial  being made, or left by a lab that was killed
//	DIR/logs/<name>.log                 what the commands of the last attempt printed
//
// A folder gets its final name by one rename after its recipe has succeeded,
// so an interrupted run leaves no half artefact.
type cache struct {
	dir      string
	files    fs.FS // the folder of the lab, which recipes read
	progress io.Writer
	lock     *os.File
	known    map[string]bool // folders of this run's artefacts
	told     map[string]bool // those that a line of progress has named
}

// openCache opens the cache for one lab at a time and waits for its turn.
func openCache(ctx context.Context, dir string, files fs.FS, progress io.Writer) (*cache, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	c := &cache{dir: dir, files: files, progress: progress, known: map[string]bool{}, told: map[string]bool{}}
	for _, sub := range []string{"artefacts", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("opening the cache: %w", err)
		}
	}
	c.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(c.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking the cache %s: %w", dir, err)
		}
		if !told {
			c.say("another lab is at work in %s; waiting for it", dir)
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (c *cache) close() { c.lock.Close() }

// say prints one line of progress.
func (c *cache) say(format string, args ...any) {
	fmt.Fprintf(c.progress, "lab: "+format+"\n", args...)
}

// add enters a recipe and returns where its artefact is or will be.
func (c *cache) add(r recipe) (*artefact, error) {
	key, err := r.hash(c.files)
	if err != nil {
		return &artefact{}, err
	}
	name := strings.ReplaceAll(r.name, " ", "-") + "-" + key
	c.known[name] = true
	return &artefact{recipe: r, key: key, dir: filepath.Join(c.dir, "artefacts", name)}, nil
}

// ensure makes the artefact, and what it needs, unless it is there.
func (c *cache) ensure(ctx context.Context, a *artefact) error {
	if a.present() {
		if !c.told[a.dir] {
			c.say("%-26s present", a.name)
			c.told[a.dir] = true
		}
		return nil
	}
	for _, need := range a.needs {
		if err := c.ensure(ctx, need); err != nil {
			return err
		}
	}
	start := time.Now()
	logPath := filepath.Join(c.dir, "logs", strings.ReplaceAll(a.name, " ", "-")+".log")
	c.say("%-26s making; log in %s", a.name, logPath)
	if err := c.make(ctx, a, logPath); err != nil {
		return fmt.Errorf("making %s: %w; see %s", a.name, err, logPath)
	}
	c.told[a.dir] = true
	c.say("%-26s made in %s", a.name, time.Since(start).Round(100*time.Millisecond))
	return nil
}

// make runs the recipe on a fresh bench and gives the result its name.
func (c *cache) make(ctx context.Context, a *artefact, logPath string) (err error) {
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	partial := a.dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("clearing an earlier attempt: %w", err)
	}
	b := &bench{dir: filepath.Join(partial, "out"), scratch: filepath.Join(partial, "scratch"), log: log}
	for _, dir := range []string{b.dir, b.scratch} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	defer func() {
		if gone := os.RemoveAll(partial); err == nil {
			err = gone
		}
	}()
	if err := a.build(ctx, b); err != nil {
		return err
	}
	return os.Rename(b.dir, a.dir)
}

// prune removes artefacts that no recipe of this run makes any more.
func (c *cache) prune() error {
	root := filepath.Join(c.dir, "artefacts")
	entries, err := os.ReadDir(root)
	if err != nil {
		return fmt.Errorf("pruning the cache: %w", err)
	}
	for _, entry := range entries {
		if c.known[entry.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, entry.Name())); err != nil {
			return fmt.Errorf("pruning the cache: %w", err)
		}
	}
	return nil
}
