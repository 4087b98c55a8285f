package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// trace is what `devbox trace` reports: one request from zero pods.
type trace struct {
	Service   string        `json:"service"`
	Namespace string        `json:"namespace"`
	Pod       string        `json:"pod"`    // which answered
	Status    int           `json:"status"` // of its response
	Steps     []traceStep   `json:"steps"`
	Took      time.Duration `json:"took"`   // all steps, by the activator's clock
	Client    time.Duration `json:"client"` // the same by this program's, with the gateway and the connection
}

// traceStep is one step. Those of the pod are within the step held.
type traceStep struct {
	Step string        `json:"step"`
	At   time.Duration `json:"at"` // its begin, since the request came to the activator
	Took time.Duration `json:"took"`
}

// The first and the last step.
const (
	held      = "held"
	firstByte = "first byte"
)

// readTrace reads the activator's Server-Timing; nil where it said nothing.
// Its own is the last one: what a container says by the same name comes first.
func readTrace(header []string) *trace {
	all := strings.Join(header, ", ")
	ours := strings.LastIndex(all, held+";dur=")
	if ours < 0 {
		return nil
	}
	t := &trace{}
	var waited, at time.Duration
	for metric := range strings.SplitSeq(all[ours:], ", ") {
		name, took, desc, ok := readMetric(metric)
		switch {
		case !ok:
			return nil
		case name == held:
			waited = took
			t.add(held, 0, took)
		case name == "pod":
			t.Pod, t.Took = desc, waited+took
			t.add(firstByte, waited, took)
		default:
			t.add(name, at, took)
			at += took
		}
	}
	return t
}

func (t *trace) add(step string, at, took time.Duration) {
	t.Steps = append(t.Steps, traceStep{step, at, took})
}

// cold is whether any step of a pod was waited for.
func (t *trace) cold() bool { return len(t.Steps) > 2 }

// readMetric reads one of the activator's metrics: name;dur=1.50;desc="of pod".
func readMetric(metric string) (name string, took time.Duration, desc string, ok bool) {
	name, parameters, _ := strings.Cut(metric, ";")
	number, rest, _ := strings.Cut(strings.TrimPrefix(parameters, "dur="), ";")
	ms, err := strconv.ParseFloat(number, 64)
	desc = strings.Trim(strings.TrimPrefix(rest, "desc="), `"`)
	return name, time.Duration(math.Round(ms * float64(time.Millisecond))), desc, err == nil
}

// barWidth is the columns of the whole time.
const barWidth = 40

// print lays it out for people: a line a step, with its bar where it was.
func (t *trace) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s  %8s  %8s\n", "STEP", "AT ms", "TOOK ms")
	for _, s := range t.Steps {
		name := s.Step
		if name != held && name != firstByte {
			name = "  " + name
		}
		fmt.Fprintf(&b, "%-12s  %8.1f  %8.1f  %s\n", name, ms(s.At), ms(s.Took), bar(s.At, s.Took, t.Took))
	}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", t.Status, http.StatusText(t.Status)))
	fmt.Fprintf(&b, "\n%s answered %s in %.1f ms; seen from here, in %.1f ms\n", t.Pod, status, ms(t.Took), ms(t.Client))
	_, err := io.WriteString(out, b.String())
	return err
}

// bar is a part of the whole, in its place; one too short to be seen is a line.
func bar(at, took, whole time.Duration) string {
	column := func(d time.Duration) int {
		return min(int(math.Round(barWidth*float64(d)/float64(max(whole, 1)))), barWidth)
	}
	from, to := column(at), column(at+took)
	if from == to {
		return strings.Repeat(" ", min(from, barWidth-1)) + "▏"
	}
	return strings.Repeat(" ", from) + strings.Repeat("█", to-from)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
