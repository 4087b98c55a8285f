package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/kind-in-a-box/devbox/internal/panel"
)

// source is the data source that the chart provisions.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("prometheus")}

// Grafana's grid is 24 columns wide.
const (
	columns    = 24
	mostInLine = 2 // charts side by side; numbers stand in one line
	chartRows  = 8
	statRows   = 4
)

// scope puts Grafana's variables where a person's choice goes.
var scope = map[panel.Scoped]panel.Scope{
	panel.ByRevision: {Namespace: "$namespace", Service: "$service", Configuration: "$configuration", Revision: "$revision"},
	panel.ByService:  {Service: "$service"},
}

// classic is the schema that every Grafana reads from files. Its successor is
// for Grafana's API.
type classic = dashboard.Dashboard //nolint:staticcheck // deprecated for what comes through the API

// build is a dashboard as Grafana has it.
func build(d panel.Dashboard) (classic, error) {
	b := dashboard.NewDashboardBuilder(d.Title). //nolint:staticcheck // as above
							Uid(d.UID).Description(d.Text).Tags([]string{"devbox", "knative"}).
							Refresh("5s").Time("now-15m", "now").Tooltip(dashboard.DashboardCursorSyncCrosshair).Editable()
	for _, v := range variables(d) {
		b.WithVariable(v)
	}
	id := uint32(0)
	for _, r := range d.Rows {
		id++
		b.WithRow(dashboard.NewRowBuilder(r.Title).Id(id))
		for _, p := range r.Panels {
			id++
			b.WithPanel(onGrid(id, p, len(r.Panels), scope[d.Scope]))
		}
	}
	return b.Build()
}

// variables are what a person chooses above a dashboard: each from the series
// that the choices before it leave, and all of them to begin with.
func variables(d panel.Dashboard) []cog.Builder[dashboard.VariableModel] {
	if d.Scope == panel.ByService {
		return []cog.Builder[dashboard.VariableModel]{choice("service", `label_values(devbox_loop_edits_total, service_name)`)}
	}
	const of = "activator_request_count"
	return []cog.Builder[dashboard.VariableModel]{
		choice("namespace", `label_values(`+of+`, namespace_name)`),
		choice("service", `label_values(`+of+`{namespace_name=~"$namespace"}, service_name)`),
		choice("configuration", `label_values(`+of+`{namespace_name=~"$namespace", service_name=~"$service"}, configuration_name)`),
		choice("revision", `label_values(`+of+`{namespace_name=~"$namespace", configuration_name=~"$configuration"}, revision_name)`),
	}
}

func choice(name, query string) cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(name).
		Datasource(source).Query(dashboard.StringOrMap{String: &query}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).
		IncludeAll(true).AllValue(".*").Multi(true).
		Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
}

// onGrid is a panel that shares its line with its row's others.
func onGrid(id uint32, p panel.Panel, inRow int, s panel.Scope) cog.Builder[dashboard.Panel] {
	if p.Kind == panel.Stat {
		b := stat.NewPanelBuilder().Id(id).Title(p.Title).Description(p.Text).Datasource(source).Unit(unit(p.Unit)).
			Height(statRows).Span(uint32(columns / inRow)).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
			GraphMode(common.BigValueGraphModeArea).ColorMode(common.BigValueColorModeNone).Orientation(common.VizOrientationAuto)
		for i, q := range p.Queries {
			b.WithTarget(target(i, q, s))
		}
		return b
	}
	b := timeseries.NewPanelBuilder().Id(id).Title(p.Title).Description(p.Text).Datasource(source).Unit(unit(p.Unit)).Min(0).
		Height(chartRows).Span(uint32(columns / min(inRow, mostInLine))).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti))
	if p.Kind == panel.Stacked {
		b.FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	for i, q := range p.Queries {
		b.WithTarget(target(i, q, s))
	}
	return b
}

// target is a query; Grafana tells those of a panel apart by a letter.
func target(i int, q panel.Query, s panel.Scope) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(source).RefId(string(rune('A' + i))).
		Expr(q.PromQL(s)).LegendFormat(q.Legend).Range()
}

// unit is Grafana's name for what a panel's numbers count.
func unit(u panel.Unit) string {
	name, ok := map[panel.Unit]string{
		panel.Number: units.Short, panel.PerSecond: "ops", panel.Milliseconds: units.Milliseconds,
		panel.Bytes: units.BytesIEC, panel.Fraction: units.PercentUnit, panel.Cores: units.Short, panel.Switch: "bool_on_off",
	}[u]
	if !ok {
		panic(fmt.Sprintf("Grafana's name for unit %q is not known", u))
	}
	return name
}
