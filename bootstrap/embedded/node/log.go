package node

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// maxLog is how large a container's log grows before it is cut: the
	// newest part of at most this size and the one before it are kept.
	maxLog = 10 << 20
	// maxLine is how long a line is before it is written in parts, as other
	// runtimes do.
	maxLine = 16 << 10
)

// stamp is the time of a line, of one width in all lines.
const stamp = "2006-01-02T15:04:05.000000000Z07:00"

// logFile is the log of one life of a container, in the format of the
// container runtime interface:
//
//	2026-10-06T00:17:09.669794202Z stdout F a whole line
//	2026-10-06T00:17:09.669794202Z stderr P a part of a long on
//
// One writes it, any number follow it.
type logFile struct {
	path string

	mu      sync.Mutex
	file    *os.File
	size    int64
	cuts    int           // how often it was cut
	changed chan struct{} // closed by the next change
	ended   bool
}

// createLog starts the log at path.
func createLog(path string) (*logFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making a log: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making a log: %w", err)
	}
	return &logFile{path: path, file: f, changed: make(chan struct{})}, nil
}

// oldPath is where the part before the newest is.
func oldPath(path string) string { return path + ".1" }

// write adds one line, or a part of one.
func (l *logFile) write(stream string, line []byte, whole bool) error {
	tag := "P"
	if whole {
		tag = "F"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return os.ErrClosed
	}
	n, err := fmt.Fprintf(l.file, "%s %s %s %s\n", time.Now().UTC().Format(stamp), stream, tag, line)
	l.size += int64(n)
	if err == nil && l.size >= maxLog {
		err = l.cut()
	}
	l.wake()
	return err
}

// cut begins a new file.
func (l *logFile) cut() error {
	if err := os.Rename(l.path, oldPath(l.path)); err != nil {
		return err
	}
	f, err := os.Create(l.path)
	if err != nil {
		return err
	}
	_ = l.file.Close() // what it has was written
	l.file, l.size = f, 0
	l.cuts++
	return nil
}

func (l *logFile) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// close ends the log.
func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.wake()
	return l.file.Close()
}

// state is how often the log was cut, whether it has ended, and a channel that
// is closed when either it or the text changes.
func (l *logFile) state() (cuts int, ended bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts, l.ended, l.changed
}

// stream is a writer of the lines of one stream. Its end is told by flush.
func (l *logFile) stream(name string) *lineWriter { return &lineWriter{log: l, name: name} }

// lineWriter cuts what it is given into lines.
type lineWriter struct {
	log  *logFile
	name string
	rest []byte // a line that has no end yet
}

var _ io.Writer = (*lineWriter)(nil)

// Write never fails: a full disk costs a process its log and not its life.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		whole := end >= 0 && end <= maxLine
		if !whole {
			if len(w.rest) <= maxLine {
				return len(p), nil
			}
			end = maxLine
		}
		_ = w.log.write(w.name, w.rest[:end], whole)
		if whole {
			end++
		}
		w.rest = append(w.rest[:0], w.rest[end:]...)
	}
}

// flush writes a last line that has no end.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		_ = w.log.write(w.name, w.rest, true)
		w.rest = nil
	}
}
