package way

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// Columns of the text.
const (
	textColumns  = 80
	labelColumns = 12
	nameColumns  = 17
	barColumns   = 50
)

// cells measures text in columns of a terminal. It is a literal because the
// library's own default depends on the environment.
var cells = &runewidth.Condition{}

// Text draws w for a terminal of 80 columns, with its colours where colour is
// set.
func Text(out io.Writer, w Way, colour bool) error {
	t := text{colour: colour}
	p := draw(w)
	for _, line := range wrap(strings.Fields(p.title), textColumns) {
		t.line(t.paint("1", line))
	}
	t.line("")
	for i := range p.stations {
		t.station(&p.stations[i], i == len(p.stations)-1)
	}
	t.line("")
	t.bars(&p)
	for _, note := range p.notes {
		t.line("")
		for _, line := range wrap(strings.Fields(note), textColumns) {
			t.line(line)
		}
	}
	_, err := io.WriteString(out, t.b.String())
	return err
}

type text struct {
	b      strings.Builder
	colour bool
}

func (t *text) line(s string) { t.b.WriteString(strings.TrimRight(s, " ") + "\n") }

func (t *text) paint(code, s string) string {
	if !t.colour || s == "" || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// codes are the colours of the terminal for each kind of station.
var codes = map[string]string{Client: "1", Gateway: "35", Activator: "34", Sidecar: "35", QueueProxy: "36", Container: "32", Nameless: "2", Held: "33"}

// frame is how the box of a station is drawn.
type frame struct{ code, across, side string }

func frameOf(s *station) frame {
	if s.seen == Unknown {
		return frame{codes[Nameless], "┄", "┆"}
	}
	return frame{codes[s.kind], "─", "│"}
}

// station draws one box, with the road that leads to it.
//
//	   │ from 127.0.0.1:40000, HTTP/1.1
//	┌──▼─ activator ──────────── 1.2 ms ─┐
//	│ listens on  127.0.0.1:8080         │
//	└──┬─────────────────────────────────┘
func (t *text) station(s *station, last bool) {
	f := frameOf(s)
	arrow, tail := "▼", "┬"
	if s.road == "" {
		arrow = f.across
	}
	if last {
		tail = f.across
	}
	for _, line := range wrap(strings.Fields(s.road), textColumns-5) {
		t.line("   │ " + line)
	}
	for _, said := range s.sealed {
		for _, line := range wrap(strings.Fields(said), textColumns-7) {
			t.line("   │   " + line)
		}
	}
	t.rules(s.rules)
	t.line(t.paint(f.code, top(s, f, arrow)))
	for _, r := range s.rows {
		t.row(r, f)
	}
	t.line(t.paint(f.code, "└"+f.across+f.across+tail+strings.Repeat(f.across, textColumns-5)+"┘"))
}

// rules draws the rules that were asked on the road.
func (t *text) rules(rules []Rule) {
	if len(rules) > 0 {
		t.line("   │ " + t.paint("2", rulesHead))
	}
	for _, r := range rules {
		code := "2"
		if r.Met {
			code = ""
		}
		for _, line := range ruleLines(r, textColumns-5) {
			t.line("   │ " + t.paint(code, line))
		}
	}
}

// top is a box's upper line: the name, and at the right the time.
func top(s *station, f frame, arrow string) string {
	name, stayed := cells.Truncate(clean(s.name), textColumns/2, "…"), ""
	if told := s.told(); told != "" {
		name += ", " + told
	}
	if s.stayed != "" {
		stayed = " " + s.stayed + " "
	}
	head := "┌" + f.across + f.across + arrow + f.across + " " + name + " "
	return head + strings.Repeat(f.across, textColumns-2-cells.StringWidth(head+stayed)) + stayed + f.across + "┐"
}

// row draws what is said of a station, in as many lines as it takes.
func (t *text) row(r row, f frame) {
	label := r.label
	const columns = textColumns - 4 - labelColumns
	for _, line := range wrap(r.words, columns) {
		t.line(t.paint(f.code, f.side) + " " + t.paint("2", pad(label, labelColumns)) + pad(line, columns) + " " + t.paint(f.code, f.side))
		label = ""
	}
}

// bars draws where the time went, a line for each part.
func (t *text) bars(p *picture) {
	t.line(fmt.Sprintf("%-*s  %8s", nameColumns, "OWN TIME", "ms"))
	for _, b := range p.bars {
		name := cells.Truncate(strings.Repeat("  ", b.depth)+clean(b.name), nameColumns, "…")
		if !b.timed {
			t.line(fmt.Sprintf("%s  %8s", pad(name, nameColumns), "unknown"))
			continue
		}
		t.line(fmt.Sprintf("%s  %8.1f  %s", pad(name, nameColumns), ms(b.took), t.paint(codes[b.kind], blocks(b, p))))
	}
	t.line(fmt.Sprintf("%-*s  %8.1f", nameColumns, "", ms(p.whole)))
}

// blocks is a part of the whole, in its place; one too short to be seen is a line.
func blocks(b bar, p *picture) string {
	column := func(d time.Duration) int {
		return min(int(math.Round(barColumns*float64(d)/float64(max(p.whole, 1)))), barColumns)
	}
	from, to := column(b.at), column(b.at+b.took)
	if from == to || column(b.took) == 0 {
		return strings.Repeat(" ", min(from, barColumns-1)) + "▏"
	}
	return strings.Repeat(" ", from) + strings.Repeat("█", to-from)
}

// wrap puts words into lines; a word that is longer than a line is cut there.
func wrap(words []string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range words {
		word = clean(word)
		switch {
		case line == "":
			line = word
		case cells.StringWidth(line)+1+cells.StringWidth(word) <= columns:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
		for cells.StringWidth(line) > columns {
			head := cells.Truncate(line, columns, "")
			lines, line = append(lines, head), line[len(head):]
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(columns-cells.StringWidth(s), 0))
}

// clean makes text harmless that a hop or a service may have made.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}
