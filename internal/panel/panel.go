// Package panel is the one list of what is worth a chart: dashboards of rows of
// panels of queries. Grafana's JSON is made from it, and the page draws it, so
// that both show the same; a query is therefore not text but structure, with
// two readers:
//
//	               /-- PromQL   text for Prometheus, and so for Grafana
//	Dashboards --> Query
//	               \-- Ring     evaluates it over the samples of the last minutes,
//	                            where there is no Prometheus
//
// Metrics is the list of what may be asked for, with the labels each has.
package panel

import "time"

// Dashboard is a page of panels about one thing.
type Dashboard struct {
	UID   string // stable, for links
	Title string
	Text  string // what it answers, in a sentence
	Scope Scoped // what a person chooses above it
	Rows  []Row
}

// Scoped says which of the variables a dashboard has.
type Scoped int

// The variables of a dashboard.
const (
	ByRevision Scoped = iota // namespace, configuration, revision
	ByService                // service
)

// Row is panels that belong together.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is one chart or one number.
type Panel struct {
	Title   string
	Text    string // how to read it; may be empty
	Kind    Kind
	Unit    Unit
	Queries []Query
}

// Kind is how a panel is drawn.
type Kind string

// The kinds.
const (
	Stat    Kind = "stat"    // one number: the last value
	Graph   Kind = "graph"   // lines over time
	Stacked Kind = "stacked" // areas over time, one on the other
)

// Unit is what a panel's numbers count.
type Unit string

// The units.
const (
	Number       Unit = "number"  // of pods, requests, edits
	PerSecond    Unit = "ops"     // each second
	Milliseconds Unit = "ms"      //
	Bytes        Unit = "bytes"   //
	Fraction     Unit = "percent" // 0 to 1, shown as 0 to 100 %
	Cores        Unit = "cores"   // of a CPU
	Switch       Unit = "bool"    // 0 off, 1 on
)

// Query asks for series of one metric, and adds up those that do not differ in
// the labels By.
type Query struct {
	Func     Func
	Metric   string        // of Metrics; a histogram by its name without _bucket
	Match    []Matcher     // which series of it
	By       []string      // the labels that are kept
	Over     time.Duration // the window of a counter; 0 takes it as it stands, since its process began
	Quantile float64       // of Quantile, 0 to 1
	Legend   string        // the name of a line; {{label}} stands for a value
}

// Func is what a query makes of its metric.
type Func string

// The functions.
const (
	Value    Func = "value"    // of a gauge, or a counter or a histogram's number of observations as it stands
	Rate     Func = "rate"     // of a counter, or of a histogram's number of observations, each second, over the window
	Increase Func = "increase" // of the same, within the window
	Quantile Func = "quantile" // of a histogram's observations
	Mean     Func = "mean"     // of a histogram's observations
	Ratio    Func = "ratio"    // of a counter's rate: the series of Match to all
)

// Matcher chooses series by a label.
type Matcher struct {
	Label string
	Op    Op
	Value string
}

// Op compares a label with a value.
type Op string

// The comparisons. Expressions match the whole value.
const (
	Is       Op = "="
	IsNot    Op = "!="
	Like     Op = "=~"
	NotAlike Op = "!~"
)

// Scope is what a person chose to look at: an expression for each, or "" for
// all. Grafana puts its variables here, as $namespace.
type Scope struct {
	Namespace, Service, Configuration, Revision string
}

// Local says whether the box itself has the panel's numbers. The others are of
// the kubelet, and only Prometheus asks it.
func (p Panel) Local() bool {
	for _, q := range p.Queries {
		if metric(q.Metric).Source != Box {
			return false
		}
	}
	return true
}
