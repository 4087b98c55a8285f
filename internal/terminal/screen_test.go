package terminal

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// screen is a terminal as far as Live uses one: it keeps what a person sees.
type screen struct {
	mu       sync.Mutex
	columns  int
	lines    [][]rune
	row, col int
}

func newScreen(columns int) *screen { return &screen{columns: columns, lines: [][]rune{nil}} }

var csi = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`)

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text := string(p); text != ""; {
		if command := csi.FindStringSubmatch(text); command != nil {
			s.do(command[1], command[2])
			text = text[len(command[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		s.put(r)
	}
	return len(p), nil
}

func (s *screen) do(argument, command string) {
	switch command {
	case "A":
		n, _ := strconv.Atoi(argument)
		if n > s.row {
			panic("the cursor leaves the screen at the top")
		}
		s.row -= n
	case "K":
		s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
	case "J":
		s.do("", "K")
		s.lines = s.lines[:s.row+1]
	case "m":
	default:
		panic(fmt.Sprintf("no terminal command of ours: %q", command))
	}
}

func (s *screen) put(r rune) {
	switch {
	case r == '\r':
		s.col = 0
	case r == '\n':
		s.down()
	case r < ' ':
		panic(fmt.Sprintf("control character %q on the screen", r))
	default:
		if s.col == s.columns {
			s.down()
		}
		for len(s.lines[s.row]) <= s.col {
			s.lines[s.row] = append(s.lines[s.row], ' ')
		}
		s.lines[s.row][s.col] = r
		s.col++
	}
}

func (s *screen) down() {
	s.row++
	s.col = 0
	if s.row == len(s.lines) {
		s.lines = append(s.lines, nil)
	}
}

// String is what a person sees, without the blanks at the ends.
func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
