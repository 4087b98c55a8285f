package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// logPath is where the log of the given life of a container is.
func (p *pod) logPath(container string, number int32) string {
	return filepath.Join(p.dir(), logsDir, container, fmt.Sprintf("%d.log", number))
}

// openLog begins the log of a life of the container. That of the life before
// is kept, and no older one.
func (c *container) openLog(number int32) (*logFile, error) {
	log, err := createLog(c.pod.logPath(c.spec.Name, number))
	if err != nil {
		return nil, err
	}
	c.pod.mu.Lock()
	c.pod.logs[c.spec.Name] = log
	c.pod.mu.Unlock()
	if old := number - 2; old >= 0 {
		path := c.pod.logPath(c.spec.Name, old)
		err := errors.Join(removeIfThere(path), removeIfThere(oldPath(path)), removeIfThere(c.lastWordsPath(old)))
		if err != nil {
			return nil, fmt.Errorf("removing an old log: %w", err)
		}
	}
	return log, nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c *container) closeLog(log *logFile) {
	if err := log.close(); err != nil {
		c.pod.node.log.Warn("closing a log", "pod", c.pod.name(), "container", c.spec.Name, "error", err)
	}
}

// log returns the log of a container's newest life, or of the one before: its
// path, and who writes it if somebody does.
func (p *pod) log(container string, previous bool) (path string, live *logFile, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range append(p.observed.init[:len(p.observed.init):len(p.observed.init)], p.observed.main...) {
		if s.Name != container {
			continue
		}
		number := s.RestartCount
		if previous {
			number--
		} else {
			live = p.logs[container]
		}
		path = p.logPath(container, number)
		if _, err := os.Stat(path); err == nil {
			return path, live, nil
		}
		if previous {
			return "", nil, fmt.Errorf("previous terminated container %q in pod %q not found", container, p.object.Name)
		}
		reason := "it has no log"
		if s.State.Waiting != nil {
			reason = s.State.Waiting.Reason
		}
		return "", nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", container, p.object.Name, reason)
	}
	return "", nil, fmt.Errorf("container %q is not in pod %q", container, p.object.Name)
}
