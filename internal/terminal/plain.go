package terminal

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Plain writes lines that are never rewritten. A compiler's lines begin in
// the first column, where editors and other tools look for them.
type Plain struct {
	mu            sync.Mutex
	out, progress io.Writer
	story         story
}

// NewPlain returns a Reader for a pipe, a file or a dumb terminal.
func NewPlain(out, progress io.Writer) *Plain {
	return &Plain{out: out, progress: progress}
}

// Show writes e where it has something to say.
func (p *Plain) Show(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	said, ok := p.story.tell(e)
	if !ok {
		return
	}
	text := []string{e.Time.Format("15:04:05"), string(said.mark)}
	if said.name != "" {
		text = append(text, pad(said.name, nameColumns))
	}
	text = append(text, Clean(said.text))
	if said.aside != "" {
		text = append(text, Clean(said.aside))
	}
	if said.took > 0 {
		text = append(text, "("+duration(said.took)+")")
	}
	block := []string{strings.Join(text, " ")}
	for _, detail := range said.details {
		block = append(block, Clean(detail))
	}
	var b strings.Builder
	for _, line := range block {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	// A reader that has gone is no reason to stop what it was told of.
	_, _ = io.WriteString(p.progress, b.String())
	for _, result := range said.results {
		_, _ = fmt.Fprintln(p.out, result)
	}
}

// Hear implements Reader.
func (p *Plain) Hear(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.story.tell(e)
}

// Close has nothing to finish.
func (p *Plain) Close() {}
