package compile

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// build compiles the program to a file.
func (p Program) build(ctx context.Context, to string, say func(string)) error {
	say("looking what is to be compiled")
	todo, err := p.stale(ctx)
	if err != nil {
		return err
	}
	cmd := p.goCommand(ctx, "build", "-v", "-ldflags=-s -w", "-o", to, p.Package)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("compiling %s: %w", p.Package, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("compiling %s: %w", p.Package, err)
	}
	words := follow(stderr, &progress{todo: todo, start: time.Now()}, say)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("compiling %s: %w\n%s", p.Package, err, words)
	}
	return nil
}

// stale are the packages that are to be compiled, as far as can be said
// before.
func (p Program) stale(ctx context.Context) (map[string]bool, error) {
	cmd := p.goCommand(ctx, "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "-ldflags=-s -w", p.Package)
	out, err := goenv.Output(cmd)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("listing the packages of %s: %w", p.Package, err)
	}
	todo := map[string]bool{}
	for name := range strings.FieldsSeq(string(out)) {
		todo[name] = true
	}
	return todo, nil
}

// follow reads what the go command says: packages as it begins with them, and
// anything else, of which it returns the end.
func follow(r io.Reader, done *progress, say func(string)) (words string) {
	const most = 40 // lines
	var rest []string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		if !done.todo[line] {
			rest = append(rest, line)
			rest = rest[max(0, len(rest)-most):]
			continue
		}
		if message := done.next(time.Now()); message != "" {
			say(message)
		}
	}
	return strings.Join(rest, "\n")
}

// progress counts packages. The go command names the main package last, when
// all others are done and it is about to link.
type progress struct {
	todo  map[string]bool
	start time.Time

	done int
	said time.Time
}

// sayEvery is how often a person is told at most.
const sayEvery = 3 * time.Second

// next counts one more package and returns what there is to say, if anything.
// The time left takes all packages to be alike, which they are not; so it is
// said only once a tenth is done.
func (p *progress) next(now time.Time) string {
	p.done++
	if p.done < len(p.todo) && now.Sub(p.said) < sayEvery {
		return ""
	}
	p.said = now
	if p.done >= len(p.todo) {
		return "linking"
	}
	message := fmt.Sprintf("compiling, %d of %d packages", p.done, len(p.todo))
	if p.done*10 < len(p.todo) {
		return message
	}
	left := time.Duration(float64(now.Sub(p.start)) / float64(p.done) * float64(len(p.todo)-p.done))
	return message + ", about " + left.Round(unit(left)).String() + " left"
}

// unit rounds what is far away more.
func unit(left time.Duration) time.Duration {
	if left > time.Minute {
		return 10 * time.Second
	}
	return time.Second
}
