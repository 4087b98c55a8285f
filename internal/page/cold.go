package page

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// coldMetric tells of cold starts by phase.
const coldMetric = "activator_cold_start_latencies"

// mostCold cold starts are kept.
const mostCold = 20

// coldStart is what the metrics tell of a revision's cold starts between two
// looks: nearly always one, else the mean of those there were.
type coldStart struct {
	At       time.Time   `json:"at"` // of the look that saw it
	Service  string      `json:"service"`
	Revision string      `json:"revision"`
	Count    uint64      `json:"count"`
	Phases   []coldPhase `json:"phases"` // in their order
}

type coldPhase struct {
	Name string  `json:"name"`
	Took float64 `json:"took"` // milliseconds
}

// phaseOrder is the order in which the phases of a cold start come.
var phaseOrder = []string{"decided", "created", "sandbox", "started", "listening", "first_byte"}

// coldStarts finds cold starts in how the histograms grow.
type coldStarts struct {
	mu   sync.Mutex
	seen map[coldKey]coldCount // at the last look; nil before the first
	all  []coldStart           // newest last
}

type coldKey struct{ namespace, service, revision, phase string }

type coldCount struct {
	count uint64
	sum   float64
}

// take says whether there was a cold start since the last look. The first look
// only shows where counting begins.
func (c *coldStarts) take(at time.Time, families map[string]*dto.MetricFamily) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := coldCounts(families)
	first := c.seen == nil
	grown := map[coldKey][]coldPhase{}
	counts := map[coldKey]uint64{}
	for key, n := range now {
		was := c.seen[key]
		if n.count < was.count {
			was = coldCount{} // the activator is a new process
		}
		if first || n.count == was.count {
			continue
		}
		of := key
		of.phase = ""
		grown[of] = append(grown[of], coldPhase{key.phase, (n.sum - was.sum) / float64(n.count-was.count)})
		counts[of] = max(counts[of], n.count-was.count)
	}
	c.seen = now
	for _, key := range slices.SortedFunc(maps.Keys(grown), func(a, b coldKey) int { return cmp.Compare(a.revision, b.revision) }) {
		phases := grown[key]
		slices.SortFunc(phases, func(a, b coldPhase) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
		c.all = append(c.all, coldStart{at, key.namespace + "/" + key.service, key.revision, counts[key], phases})
	}
	c.all = c.all[max(0, len(c.all)-mostCold):]
	return len(grown) > 0
}

// rank sorts phases; one that is none of the parts is the whole, and comes
// first.
func rank(phase string) int { return slices.Index(phaseOrder, phase) }

func coldCounts(families map[string]*dto.MetricFamily) map[coldKey]coldCount {
	counts := map[coldKey]coldCount{}
	for _, m := range families[coldMetric].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		key := coldKey{labels["namespace_name"], labels["service_name"], labels["revision_name"], labels["phase"]}
		counts[key] = coldCount{m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()}
	}
	return counts
}

// last are the newest cold starts, newest first.
func (c *coldStarts) last() []coldStart {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.all)
	slices.Reverse(out)
	return out
}
