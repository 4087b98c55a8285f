package story

import (
	"fmt"
	"regexp"
	"strings"
)

// page is a document as it alternates: prose, and blocks of console.
type page []part

// part is prose, or a block of console where it has commands.
type part struct {
	prose    string
	commands []command
	expects  []*regexp.Regexp // in what the block printed
}

// command is a command line with what it printed.
type command struct{ line, output string }

const (
	opens  = "```console\n"
	closes = "```\n"
	prompt = "$ "
	goesOn = "> "
)

// expected is a comment that says what the block before it prints.
var expected = regexp.MustCompile(`(?m)^<!-- expect (.+) -->$`)

// parse reads a document.
func parse(text string) (page, error) {
	var p page
	for {
		prose, rest, found := strings.Cut(text, opens)
		if err := p.say(prose); err != nil {
			return nil, err
		}
		if !found {
			return p, nil
		}
		block, after, closed := strings.Cut(rest, "\n"+closes)
		if !closed {
			return nil, fmt.Errorf("reading the page: a block of console does not end: %.60q", rest)
		}
		commands, err := commandsOf(block + "\n")
		if err != nil {
			return nil, err
		}
		p, text = append(p, part{commands: commands}), after
	}
}

// say adds prose, whose expectations are those of the block before it.
func (p *page) say(prose string) error {
	for _, match := range expected.FindAllStringSubmatch(prose, -1) {
		pattern, err := regexp.Compile("(?m)" + match[1])
		if err != nil {
			return fmt.Errorf("reading what a block is to print: %w", err)
		}
		if len(*p) == 0 {
			return fmt.Errorf("reading the page: no block is before %q", match[0])
		}
		before := &(*p)[len(*p)-1]
		before.expects = append(before.expects, pattern)
	}
	*p = append(*p, part{prose: prose})
	return nil
}

func commandsOf(block string) ([]command, error) {
	var commands []command
	for line := range strings.Lines(block) {
		text, is := strings.CutPrefix(line, prompt)
		switch {
		case is:
			commands = append(commands, command{line: strings.TrimSuffix(text, "\n")})
		case len(commands) == 0:
			return nil, fmt.Errorf("reading the page: a block begins with no command: %q", line)
		default:
			last := &commands[len(commands)-1]
			if more, is := strings.CutPrefix(line, goesOn); is && last.output == "" {
				last.line += "\n" + strings.TrimSuffix(more, "\n")
			} else {
				last.output += line
			}
		}
	}
	return commands, nil
}

// String is the document again.
func (p page) String() string {
	var b strings.Builder
	for _, part := range p {
		if part.commands == nil {
			b.WriteString(part.prose)
			continue
		}
		b.WriteString(opens)
		for _, c := range part.commands {
			b.WriteString(prompt + strings.ReplaceAll(c.line, "\n", "\n"+goesOn) + "\n" + c.output)
		}
		b.WriteString(closes)
	}
	return b.String()
}
