// Package history keeps the events of a box's sessions in a file, for whoever
// was not there when they happened: a second terminal, the page, a load's
// report.
//
//	devbox up --> Recorder --> events.jsonl --> Read    what there was
//	                              |         \-> Follow  and what comes
//	                              |
//	                              \-- events-TIME.jsonl, the file before it
//
// A line is an event in JSON, as `devbox up -o json` prints it. The file is
// bounded, and the session never waits for it.
package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Read returns the events of a file, oldest first. No file is no event, and a
// line that is none, as the last one of a session that was killed, is left out.
func Read(path string) ([]event.Event, error) {
	var events []event.Event
	for _, name := range []string{before(path), path} {
		if name == "" {
			continue
		}
		one, err := readOne(name)
		if err != nil {
			return nil, err
		}
		events = append(events, one...)
	}
	return events, nil
}

func readOne(name string) ([]event.Event, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the events: %w", err)
	}
	defer f.Close()
	var events []event.Event
	if _, err = scan(f, nil, func(e event.Event) { events = append(events, e) }); err != nil {
		return nil, fmt.Errorf("reading the events: %w", err)
	}
	return events, nil
}

// before is the file that was there before path's, "" where there is none.
func before(path string) string {
	ext := filepath.Ext(path)
	names, err := filepath.Glob(strings.TrimSuffix(path, ext) + "-*" + ext)
	if err != nil || len(names) == 0 {
		return ""
	}
	return slices.Max(names) // they are named by their time
}

// scan tells the events in what begin and then r have, and returns what comes
// after the last whole line.
func scan(r io.Reader, begin []byte, tell func(event.Event)) (rest []byte, err error) {
	lines := bufio.NewReader(io.MultiReader(bytes.NewReader(begin), r))
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
		var e event.Event
		if json.Unmarshal(line, &e) == nil && e.Kind != "" {
			tell(e)
		}
	}
}
