package app

import (
	"fmt"
	"os"

	"github.com/kind-in-a-box/devbox/internal/way"
)

// picture is the file of a way's SVG. It is opened before the request is sent,
// which cannot be taken back; what is in it stays until there is a picture.
type picture struct{ file *os.File }

// openPicture opens the file of a name, nil where there is to be none.
func openPicture(name string) (*picture, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, classify(codeUsage, fmt.Errorf("opening the file of the picture: %w", err), "another file for --svg")
	}
	return &picture{file}, nil
}

func (p *picture) write(w way.Way) error {
	if p == nil {
		return nil
	}
	if _, regular := p.size(); regular {
		if err := p.file.Truncate(0); err != nil {
			return fmt.Errorf("writing the picture: %w", err)
		}
	}
	if err := way.SVG(p.file, w); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return nil
}

// close closes the file, and takes it away where it has got no picture.
func (p *picture) close() {
	if p == nil {
		return
	}
	size, regular := p.size()
	_ = p.file.Close() // what was written was said to be
	if regular && size == 0 {
		_ = os.Remove(p.file.Name())
	}
}

// size is what is in the file, if it is one that has a size.
func (p *picture) size() (bytes int64, regular bool) {
	info, err := p.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}
