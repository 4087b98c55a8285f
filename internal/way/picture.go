package way

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// picture is a way in words, for both who draw it.
type picture struct {
	title    string
	stations []station
	bars     []bar
	whole    time.Duration // of all bars
	notes    []string
}

// station is a hop.
type station struct {
	kind   string // the hop's name where it is one of ours, else Nameless
	name   string
	seen   Seen
	stayed string   // how long, if it is known
	sealed []string // the TLS session, by whom and to whom
	road   string   // how the request came here; empty for the first
	rules  []Rule   // that led it here
	rows   []row
}

// row is what is said of a hop: words after a label, broken between the words
// where they are too long.
type row struct {
	label string
	words []string
}

// bar is a part of the time.
type bar struct {
	kind     string // the station's, or Held
	name     string
	depth    int
	timed    bool
	at, took time.Duration
}

// mostNames is how many names of headers are drawn of one list.
const mostNames = 40

// draw puts a way into words.
func draw(w Way) picture {
	p := picture{
		title: fmt.Sprintf("%s %s to %s: %s in %s", w.Method, w.Path, w.Host, status(w.Status), millis(w.Client)),
		whole: w.Client, notes: w.Notes,
	}
	for i, h := range w.Hops {
		s := station{kind: kind(h.Name), name: h.Name, seen: h.Seen}
		if h.Timed {
			s.stayed = millis(h.Stayed)
		}
		if i > 0 {
			s.road, s.rules, s.sealed = road(w.Hops[i-1], h), h.Rules, h.TLS.words()
		}
		s.rows = rows(w, h)
		p.stations = append(p.stations, s)
	}
	p.bars = bars(w)
	return p
}

func kind(name string) string {
	switch name {
	case Client, Gateway, Activator, Sidecar, QueueProxy, Container:
		return name
	}
	return Nameless
}

// road says how a request came from one hop to the next.
func road(from, to Hop) string {
	said := []string{"from " + cmp.Or(to.Peer, from.From, "an unknown address")}
	if sent := from.To; sent != "" && !same(sent, to.Listen) {
		said[0] += " to " + sent
	}
	if to.Protocol != "" {
		said = append(said, to.Protocol)
	}
	switch {
	case to.Redirect == "":
	case len(to.Rules) > 0: // they are drawn
		said = append(said, "redirected by iptables to "+to.Listen)
	default:
		said = append(said, "redirected by "+to.Redirect)
	}
	return strings.Join(said, ", ")
}

// rows says what is known of a hop.
func rows(w Way, h Hop) []row {
	var all []row
	say := func(label string, words ...string) {
		if len(words) > 0 && words[0] != "" {
			all = append(all, row{label, words})
		}
	}
	if h.Seen == Reported {
		say("listens on", h.Listen)
	} else {
		say("reached at", h.Listen)
	}
	if h.Pod != "" {
		say("in pod", strings.Fields(h.Pod)...)
	}
	if h.Name != Container {
		say("revision", h.Revision)
	}
	redirected, stay := ledTo(h.Ports)
	say("takes over", strings.Fields(strings.Join(redirected, ", "))...)
	say("leaves be", strings.Fields(strings.Join(stay, ", "))...)
	say("adds", list(h.Added)...)
	say("takes", list(h.Taken)...)
	if waited(h) {
		say("waits", strings.Fields(millis(h.Waited)+" "+reason(w, h))...)
	}
	if h.Name == Client {
		say("sends", list(h.Sent)...)
		say("gets", append(strings.Fields(status(w.Status)+" with"), list(w.Answer)...)...)
		text, _, _ := strings.Cut(w.Message, "\n")
		say("which says", strings.Fields(text)...)
	}
	return all
}

// waited is whether a hop waited long enough to be seen.
func waited(h Hop) bool { return h.Waited >= 50*time.Microsecond }

// reason says what a hop waited for.
func reason(w Way, h Hop) string {
	if h.Name != Activator {
		return "for its turn"
	}
	for _, s := range w.Steps {
		if s.Step == "decided" || s.Step == "created" {
			return "for a pod: there was none"
		}
	}
	return "for a pod that takes it"
}

// list is names with commas, and not too many.
func list(names []string) []string {
	most := min(len(names), mostNames)
	var words []string
	for i, name := range names[:most] {
		if i < len(names)-1 {
			name += ","
		}
		words = append(words, name)
	}
	if more := len(names) - most; more > 0 {
		words = append(words, "and", fmt.Sprint(more), "more")
	}
	return words
}

// bars are the parts of the client's time. They stand one after another,
// though a hop's own time is partly before and partly after that of those
// behind it. What queue-proxy takes for itself nobody sees: it is with the
// container's.
func bars(w Way) []bar {
	var all []bar
	var at time.Duration
	put := func(kind, name string, depth int, took time.Duration) {
		all = append(all, bar{kind: kind, name: name, depth: depth, timed: true, at: at, took: took})
		at += took
	}
	for i, h := range w.Hops {
		k := kind(h.Name)
		together := h.Name == QueueProxy && i+1 < len(w.Hops) && w.Hops[i+1].Timed
		switch {
		case !h.Timed:
			all = append(all, bar{kind: k, name: h.Name})
			continue
		case h.Name == Container:
			put(k, "queue, container", 0, h.Own)
		case !together:
			put(k, h.Name, 0, h.Own)
		}
		if !waited(h) {
			continue
		}
		from := at
		if h.Name == Activator {
			put(Held, Held, 1, h.Waited)
			all = append(all, within(w.Steps, from)...)
		} else {
			put(Held, h.Name+" waits", 0, h.Waited)
		}
	}
	return all
}

// within are the bars of a pod's steps, which are in the one of held.
func within(steps []Step, from time.Duration) []bar {
	var all []bar
	for _, s := range steps {
		if s.Step != Held && s.Step != FirstByte {
			all = append(all, bar{kind: Held, name: s.Step, depth: 2, timed: true, at: from + s.At, took: s.Took})
		}
	}
	return all
}

// status is a status in words.
func status(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", ms(d)) }

// told says how a hop is known, where it is not by its own word.
func (s *station) told() string {
	switch s.seen {
	case Observed:
		return "seen from outside"
	case Unknown:
		return "did not report"
	}
	return ""
}

// rulesHead is over the columns of ruleHead.
const rulesHead = "  so far   now  rules of iptables, in order"

// ruleColumns is where a rule begins.
const ruleColumns = 16

// ruleHead is what is in front of a rule: whether it is about the connection,
// and how many it has met.
func ruleHead(r Rule) string {
	mark, now := " ", ""
	if r.Met {
		mark = "▸"
	}
	if r.Now > 0 {
		now = fmt.Sprintf("+%d", r.Now)
	}
	return fmt.Sprintf("%s %6d %5s  ", mark, r.Count, now)
}

// ruleLines are a rule in lines of so many columns.
func ruleLines(r Rule, columns int) []string {
	lines := wrap(strings.Fields(strings.TrimPrefix(r.Rule, "-A ")), columns-ruleColumns)
	for i := range lines {
		if i == 0 {
			lines[i] = ruleHead(r) + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", ruleColumns) + lines[i]
		}
	}
	return lines
}
