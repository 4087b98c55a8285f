package compile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// build compiles the program to a file.
func (p Program) build(ctx context.Context, to string, say func(string)) error {
	say("looking what is to be compiled")
	todo, err := p.stale(ctx, say)
	if err != nil {
		return err
	}
	cmd := p.goCommand(ctx, "build", "-v", "-ldflags=-s -w", "-o", to, p.Package)
	heard := &ear{say: say, done: &progress{todo: todo, start: time.Now()}}
	cmd.Stderr = heard
	if err := cmd.Run(); err != nil {
		return failure(ctx, "compiling "+p.Package, err, heard)
	}
	return nil
}

// stale are the packages that are to be compiled, as far as can be said
// before.
func (p Program) stale(ctx context.Context, say func(string)) (map[string]bool, error) {
	cmd := p.goCommand(ctx, "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "-ldflags=-s -w", p.Package)
	heard := &ear{say: say}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, heard
	if err := cmd.Run(); err != nil {
		return nil, failure(ctx, "listing the packages of "+p.Package, err, heard)
	}
	todo := map[string]bool{}
	for name := range strings.FieldsSeq(out.String()) {
		todo[name] = true
	}
	return todo, nil
}

// ErrNotFetched is of a go command that failed where modules were missing.
var ErrNotFetched = errors.New("modules are missing, and were not all fetched")

// failure is the error of a go command that did not do what it was asked for:
// why it was ended, or what it said.
func failure(ctx context.Context, what string, err error, heard *ear) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if heard.fetches {
		err = ErrNotFetched
	}
	return fmt.Errorf("%s: %w\n%s", what, err, goenv.Brief(strings.Join(heard.words, "\n")))
}

// ear is a go command's stderr, on which it names packages as it begins with
// them, and modules that it fetches. Of anything else it keeps the end.
type ear struct {
	say  func(string)
	done *progress // nil where nothing is compiled

	line    []byte // that has not ended
	words   []string
	fetches bool
}

// mostWords is how many lines of a go command's are kept.
const mostWords = 1000

// Write implements io.Writer.
func (e *ear) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != '\n' {
			e.line = append(e.line, c)
			continue
		}
		e.hear(string(e.line))
		e.line = e.line[:0]
	}
	return len(p), nil
}

func (e *ear) hear(line string) {
	switch module, fetched := strings.CutPrefix(line, "go: downloading "); {
	case fetched:
		e.fetches = true
		e.say("fetching " + module)
	case e.done != nil && e.done.todo[line]:
		if message := e.done.next(time.Now()); message != "" {
			e.say(message)
		}
	default:
		e.words = append(e.words, line)
		e.words = e.words[max(0, len(e.words)-mostWords):]
	}
}
