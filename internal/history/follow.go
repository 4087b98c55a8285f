package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// lookEvery is how often a file that is followed is looked at.
const lookEvery = 100 * time.Millisecond

// Follow tells the events of a file, and then those that come, until ctx ends,
// whose error it returns. The file may come later, be begun anew, or go and
// come back.
func Follow(ctx context.Context, path string, tell event.Sink) error {
	f := follower{path: path, tell: tell}
	defer f.close()
	if name := before(path); name != "" {
		events, err := readOne(name)
		if err != nil {
			return err
		}
		for _, e := range events {
			tell(e)
		}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := f.look(); err != nil {
			return fmt.Errorf("following the events: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// follower is where one reader is in the file.
type follower struct {
	path string
	tell event.Sink

	file *os.File
	rest []byte // of a line that is not yet whole
}

// look reads what is new, and moves on to a new file of the name.
func (f *follower) look() error {
	if err := f.read(); err != nil {
		return err
	}
	there, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not yet, or no longer
	}
	if err != nil || f.is(there) {
		return err
	}
	if err := f.read(); err != nil { // what came to the old one before the new one was there
		return err
	}
	f.close()
	f.file, err = os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.read()
}

// is says whether the file that is open is the one that is there.
func (f *follower) is(there os.FileInfo) bool {
	if f.file == nil {
		return false
	}
	open, err := f.file.Stat()
	return err == nil && os.SameFile(open, there)
}

func (f *follower) read() (err error) {
	if f.file == nil {
		return nil
	}
	f.rest, err = scan(f.file, f.rest, func(e event.Event) { f.tell(e) })
	return err
}

func (f *follower) close() {
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.rest = nil, nil
}
