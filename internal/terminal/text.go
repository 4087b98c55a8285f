package terminal

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// duration writes d in as many digits as a person reads at a glance.
func duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	default:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
}

// cells measures text in columns of a terminal. It is a literal because the
// library's own default depends on the environment.
var cells = &runewidth.Condition{}

// fit cuts text to a number of columns.
func fit(text string, columns int) string {
	return cells.Truncate(text, max(columns, 0), "…")
}

// pad fills text with blanks to a number of columns.
func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-cells.StringWidth(text), 0))
}

// escape matches what terminals take for a command, such as a colour.
var escape = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\a\x1b]*(\a|\x1b\\)?|[@-Z\\-_])`)

// Clean makes text of a program, a log or a compiler harmless to the screen.
func Clean(text string) string {
	text = strings.ReplaceAll(escape.ReplaceAllString(text, ""), "\t", "    ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// lines splits text; the empty text has none.
func lines(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// first is a text's first line, and rest what follows it.
func first(text string) string { head, _, _ := strings.Cut(text, "\n"); return head }
func rest(text string) string  { _, tail, _ := strings.Cut(text, "\n"); return tail }

// style colours text, or does not.
type style bool

func (s style) paint(code, text string) string {
	if !s || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) dim(text string) string { return s.paint("2", text) }

// mark colours a sign by what it means.
func (s style) mark(m mark) string {
	code := map[mark]string{done: "32", failed: "31", warned: "33", running: "36"}[m]
	if code == "" {
		return string(m)
	}
	return s.paint(code, string(m))
}
