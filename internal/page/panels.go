package page

import (
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/kind-in-a-box/devbox/internal/panel"
)

// dashboard is one as the page lists it.
type dashboard struct {
	UID       string `json:"uid"`
	Title     string `json:"title"`
	Text      string `json:"text"`
	ByService bool   `json:"byService"` // there is nothing but a service to choose
}

func (s *Server) serveDashboards(w http.ResponseWriter, _ *http.Request) {
	list := []dashboard{}
	for _, d := range panel.Dashboards {
		list = append(list, dashboard{d.UID, d.Title, d.Text, d.Scope == panel.ByService})
	}
	answer(w, list)
}

// panels is a dashboard with what its queries find.
type panels struct {
	Times []int64 `json:"times"` // milliseconds since 1970
	Rows  []row   `json:"rows"`
}

type row struct {
	Title  string  `json:"title"`
	Panels []chart `json:"panels"`
}

type chart struct {
	Title   string     `json:"title"`
	Text    string     `json:"text,omitempty"`
	Kind    panel.Kind `json:"kind"`
	Unit    panel.Unit `json:"unit"`
	Queries []string   `json:"queries"` // as Prometheus has them
	Local   bool       `json:"local"`   // false: only Prometheus can answer
	Series  []line     `json:"series"`
}

type line struct {
	Name   string   `json:"name"`
	Values []number `json:"values"`
}

// step is between two values of a panel.
const step = 5 * time.Second

// mostLines of a panel are shown.
const mostLines = 24

func (s *Server) servePanels(w http.ResponseWriter, r *http.Request) {
	for _, d := range panel.Dashboards {
		if d.UID == r.PathValue("uid") {
			answer(w, s.panels(d, scopeOf(r), time.Now()))
			return
		}
	}
	http.Error(w, fmt.Sprintf("there is no dashboard %q", r.PathValue("uid")), http.StatusNotFound)
}

// scopeOf takes names, not expressions.
func scopeOf(r *http.Request) panel.Scope {
	name := func(of string) string { return regexp.QuoteMeta(r.FormValue(of)) }
	return panel.Scope{Namespace: name("namespace"), Service: name("service"), Configuration: name("configuration"), Revision: name("revision")}
}

func (s *Server) panels(d panel.Dashboard, scope panel.Scope, at time.Time) panels {
	out := panels{}
	var times []time.Time
	for t := at.Truncate(step).Add(-span); !t.After(at); t = t.Add(step) {
		times = append(times, t)
		out.Times = append(out.Times, t.UnixMilli())
	}
	for _, from := range d.Rows {
		to := row{Title: from.Title}
		for _, p := range from.Panels {
			to.Panels = append(to.Panels, s.chart(p, scope, times))
		}
		out.Rows = append(out.Rows, to)
	}
	return out
}

func (s *Server) chart(p panel.Panel, scope panel.Scope, times []time.Time) chart {
	c := chart{Title: p.Title, Text: p.Text, Kind: p.Kind, Unit: p.Unit, Local: p.Local(), Series: []line{}}
	for _, q := range p.Queries {
		c.Queries = append(c.Queries, q.PromQL(scope))
		if !c.Local {
			continue
		}
		for _, series := range s.ring.Evaluate(q, scope, times) {
			if len(c.Series) < mostLines {
				c.Series = append(c.Series, line{series.Name, numbers(series.Values)})
			}
		}
	}
	return c
}
