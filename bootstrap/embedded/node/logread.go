package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// reading is what of a log is asked for, and where it goes.
type reading struct {
	follow     bool
	timestamps bool
	since      time.Time
	tail       int64 // lines; less than 0: all
	limit      int64 // bytes; less than 0: no limit
	stream     string
	out        io.Writer
}

// errLimit ends a reading that has had as many bytes as it asked for.
var errLimit = errors.New("limit reached")

func newReading(o *corev1.PodLogOptions, now time.Time, out io.Writer) *reading {
	r := &reading{follow: o.Follow, timestamps: o.Timestamps, tail: -1, limit: -1, out: out}
	switch {
	case o.SinceSeconds != nil:
		r.since = now.Add(-time.Duration(*o.SinceSeconds) * time.Second)
	case o.SinceTime != nil:
		r.since = o.SinceTime.Time
	}
	if o.TailLines != nil {
		r.tail = *o.TailLines
	}
	if o.LimitBytes != nil {
		r.limit = *o.LimitBytes
	}
	if o.Stream != nil && *o.Stream != corev1.LogStreamAll {
		r.stream = map[string]string{corev1.LogStreamStdout: "stdout", corev1.LogStreamStderr: "stderr"}[*o.Stream]
	}
	return r
}

// read copies the log at path. It is followed until it ends or ctx does, if
// that was asked for and there is somebody to write it: live.
func (r *reading) read(ctx context.Context, path string, live *logFile) error {
	file, cuts, err := openNewest(path, live)
	if err != nil {
		return fmt.Errorf("opening a log: %w", err)
	}
	defer func() { file.Close() }()
	lines := newLineReader(file)
	if err := r.past(path, lines); err != nil || !r.follow || live == nil {
		return ignoreLimit(err)
	}
	for {
		// What is true before the reading cannot be missed by it.
		now, ended, changed := live.state()
		if err := lines.each(r.write); err != nil {
			return ignoreLimit(err)
		}
		switch {
		case now != cuts:
			file.Close()
			if file, cuts, err = openNewest(path, live); err != nil {
				return fmt.Errorf("opening a log: %w", err)
			}
			lines = newLineReader(file)
			continue
		case ended:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// openNewest opens the newest part of a log and says how often it had been
// cut before that.
func openNewest(path string, live *logFile) (*os.File, int, error) {
	if live != nil {
		live.mu.Lock()
		defer live.mu.Unlock()
		file, err := os.Open(path)
		return file, live.cuts, err
	}
	file, err := os.Open(path)
	return file, 0, err
}

// past writes what is in the log already: all of it, or the tail.
func (r *reading) past(path string, newest *lineReader) error {
	write := r.write
	tail := &ring{max: r.tail}
	if r.tail >= 0 {
		write = tail.add
	}
	old, err := os.Open(oldPath(path))
	switch {
	case err == nil:
		defer old.Close()
		if err := newLineReader(old).each(write); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("opening a log: %w", err)
	}
	if err := newest.each(write); err != nil {
		return err
	}
	for _, line := range tail.lines {
		if err := r.write(line); err != nil {
			return err
		}
	}
	return nil
}

func ignoreLimit(err error) error {
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// write writes one line of the log if it was asked for.
func (r *reading) write(line []byte) error {
	at, stream, text, ok := parseLine(line)
	if !ok || r.stream != "" && r.stream != string(stream) || r.isBefore(at) {
		return nil
	}
	if r.timestamps {
		text = append(append(bytes.Clone(at), ' '), text...)
	}
	if r.limit >= 0 && int64(len(text)) > r.limit {
		text = text[:r.limit]
	}
	if _, err := r.out.Write(text); err != nil {
		return fmt.Errorf("sending a log: %w", err)
	}
	if r.limit >= 0 {
		if r.limit -= int64(len(text)); r.limit == 0 {
			return errLimit
		}
	}
	return nil
}

func (r *reading) isBefore(at []byte) bool {
	if r.since.IsZero() {
		return false
	}
	t, err := time.Parse(stamp, string(at))
	return err == nil && t.Before(r.since)
}

// parseLine takes a line apart. Its text ends in a newline if it is whole.
func parseLine(line []byte) (at, stream, text []byte, ok bool) {
	parts := bytes.SplitN(line, []byte(" "), 4)
	if len(parts) < 4 {
		return nil, nil, nil, false
	}
	text = parts[3]
	if bytes.Equal(parts[2], []byte("P")) {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	return parts[0], parts[1], text, true
}

// lineReader reads lines of a file that grows. One that has no end yet is
// kept until it has.
type lineReader struct {
	buffered *bufio.Reader
	rest     []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{buffered: bufio.NewReaderSize(r, maxLine)}
}

// each gives all lines there are to f, which must not keep them.
func (l *lineReader) each(f func([]byte) error) error {
	for {
		part, err := l.buffered.ReadSlice('\n')
		l.rest = append(l.rest, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading a log: %w", err)
		}
		if err := f(l.rest); err != nil {
			return err
		}
		l.rest = l.rest[:0]
	}
}

// ring keeps the last lines.
type ring struct {
	max   int64
	lines [][]byte
}

func (r *ring) add(line []byte) error {
	r.lines = append(r.lines, bytes.Clone(line))
	if int64(len(r.lines)) > r.max {
		r.lines[0] = nil
		r.lines = r.lines[1:]
	}
	return nil
}

// lastWords returns the end of a log as a container's termination message has
// it: at most so many lines and bytes.
func lastWords(path string) string {
	const lines, size = 80, 2 << 10
	var text bytes.Buffer
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	r := &reading{tail: lines, limit: -1, out: &text}
	if err := r.past(path, newLineReader(file)); err != nil {
		return ""
	}
	if over := text.Len() - size; over > 0 {
		text.Next(over)
	}
	return text.String()
}
