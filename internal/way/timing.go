package way

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// timing is what the activator's Server-Timing says.
type timing struct {
	pod   string // which answered
	steps []Step
	took  time.Duration // all of them
}

// readTiming reads the activator's Server-Timing; nil where it said nothing.
// Its own is the last one: what a container says by the same name comes first.
func readTiming(header []string) *timing {
	all := strings.Join(header, ", ")
	ours := strings.LastIndex(all, Held+";dur=")
	if ours < 0 {
		return nil
	}
	t := &timing{}
	var waited, at time.Duration
	for metric := range strings.SplitSeq(all[ours:], ", ") {
		name, took, desc, ok := readMetric(metric)
		switch {
		case !ok:
			return nil
		case name == Held:
			waited = took
			t.add(Held, 0, took)
		case name == "pod":
			t.pod, t.took = desc, waited+took
			t.add(FirstByte, waited, took)
		default:
			t.add(name, at, took)
			at += took
		}
	}
	if t.pod == "" { // cut off
		return nil
	}
	return t
}

func (t *timing) add(step string, at, took time.Duration) {
	t.steps = append(t.steps, Step{step, at, took})
}

// readMetric reads one of the activator's metrics: name;dur=1.50;desc="of pod".
func readMetric(metric string) (name string, took time.Duration, desc string, ok bool) {
	name, parameters, _ := strings.Cut(metric, ";")
	number, rest, _ := strings.Cut(strings.TrimPrefix(parameters, "dur="), ";")
	ms, err := strconv.ParseFloat(number, 64)
	ok = err == nil && ms >= 0 && ms < float64(math.MaxInt64)/float64(time.Millisecond)
	desc = strings.Trim(strings.TrimPrefix(rest, "desc="), `"`)
	return name, time.Duration(math.Round(ms * float64(time.Millisecond))), desc, ok
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
