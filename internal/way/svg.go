package way

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Pixels of the SVG. Text is monospaced, so that a line's columns bound its
// width in every browser's font.
const (
	svgWidth   = 900
	svgMargin  = 20
	svgBox     = svgWidth - 2*svgMargin
	svgLine    = 19
	svgColumns = 104 // of a line of text
	svgLabel   = 100
	svgHead    = 32
	svgRoad    = 20
	svgNumbers = 160 // where the numbers begin
	svgBars    = 250 // where the bars begin
)

// svgStyle has the colours, for a light and for a dark screen.
const svgStyle = `<style>
text { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328; white-space: pre }
.title { font-size: 16px; font-weight: 600 }
.name { font-weight: 600 }
.dim { fill: #59636e }
.paper { fill: #ffffff }
.box { fill: #f6f8fa; stroke: #d1d9e0 }
.unknown-box { fill: none; stroke: #818b98; stroke-dasharray: 5 4 }
.road { stroke: #818b98; stroke-width: 1.5; fill: none }
.client { fill: #59636e }
.gateway { fill: #8250df }
.activator { fill: #0969da }
.istio-proxy { fill: #bf3989 }
.queue-proxy { fill: #1b7c83 }
.container { fill: #1a7f37 }
.held { fill: #d4801b }
.unknown { fill: #b6bec8 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.dim { fill: #9198a1 }
.paper { fill: #0d1117 }
.box { fill: #161b22; stroke: #3d444d }
.unknown-box, .road { stroke: #7d8590 }
.client { fill: #9198a1 }
.gateway { fill: #a371f7 }
.activator { fill: #4493f8 }
.istio-proxy { fill: #f778ba }
.queue-proxy { fill: #39c5cf }
.container { fill: #3fb950 }
.held { fill: #e3a04a }
.unknown { fill: #565e68 }
}
</style>
`

// SVG draws w as an image by itself: it has its style in it, and no script.
func SVG(out io.Writer, w Way) error {
	p := draw(w)
	s := svg{y: svgMargin}
	for _, line := range wrap(strings.Fields(p.title), svgColumns-20) {
		s.y += 20
		s.text(svgMargin, s.y, "title", line)
	}
	s.y += 16
	for i := range p.stations {
		s.station(&p.stations[i])
	}
	s.bars(&p)
	for _, note := range p.notes {
		s.y += 6
		for _, line := range wrap(strings.Fields(note), svgColumns) {
			s.y += svgLine
			s.text(svgMargin, s.y, "", line)
		}
	}
	height := s.y + svgMargin
	_, err := fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<title>%s</title>
%s<rect class="paper" width="%d" height="%d"/>
%s</svg>
`, svgWidth, height, svgWidth, height, escape(p.title), svgStyle, svgWidth, height, s.b.String())
	return err
}

type svg struct {
	b strings.Builder
	y int // down to here it is drawn
}

func (s *svg) text(x, y int, class, words string) {
	if words == "" {
		return
	}
	fmt.Fprintf(&s.b, `<text x="%d" y="%d"%s>%s</text>`+"\n", x, y, attribute(class), escape(words))
}

func attribute(class string) string {
	if class == "" {
		return ""
	}
	return ` class="` + class + `"`
}

// escape makes text of XML, whatever it is.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(clean(text))) // a strings.Builder takes everything
	return b.String()
}

// station draws one box, with the road that leads to it.
func (s *svg) station(st *station) {
	if st.road != "" {
		s.road(st)
	}
	lines := 0
	var rows [][]string
	for _, r := range st.rows {
		rows = append(rows, wrap(r.words, svgColumns-15))
		lines += len(rows[len(rows)-1])
	}
	height := svgHead + lines*svgLine
	if lines > 0 {
		height += 6
	}
	class, stripe := "box", st.kind
	if st.seen == Unknown {
		class, stripe = "unknown-box", Nameless
	}
	fmt.Fprintf(&s.b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`+"\n", class, svgMargin, s.y, svgBox, height)
	fmt.Fprintf(&s.b, `<rect class="%s" x="%d" y="%d" width="5" height="%d" rx="2.5"/>`+"\n", stripe, svgMargin, s.y, height)
	s.head(st)
	y := s.y + svgHead - 8
	for i, r := range st.rows {
		s.text(svgMargin+18, y+svgLine, "dim", r.label)
		for _, line := range rows[i] {
			y += svgLine
			s.text(svgMargin+18+svgLabel, y, "", line)
		}
	}
	s.y += height
}

// head is the first line of a box: the name, and at the right the time.
func (s *svg) head(st *station) {
	told := st.told()
	if told != "" {
		told = `<tspan class="dim" font-weight="400">  ` + escape(told) + `</tspan>`
	}
	fmt.Fprintf(&s.b, `<text x="%d" y="%d"><tspan class="name">%s</tspan>%s</text>`+"\n",
		svgMargin+18, s.y+21, escape(cells.Truncate(st.name, 40, "…")), told)
	if st.stayed != "" {
		fmt.Fprintf(&s.b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", svgMargin+svgBox-14, s.y+21, escape(st.stayed))
	}
}

// road is an arrow, how the request came, and the rules that led it.
func (s *svg) road(st *station) {
	type line struct{ class, text string }
	var lines []line
	for _, text := range wrap(strings.Fields(st.road), svgColumns-8) {
		lines = append(lines, line{"dim", text})
	}
	for _, said := range st.sealed {
		for _, text := range wrap(strings.Fields(said), svgColumns-10) {
			lines = append(lines, line{"dim", "  " + text})
		}
	}
	if len(st.rules) > 0 {
		lines = append(lines, line{"dim", rulesHead})
	}
	for _, r := range st.rules {
		class := "dim"
		if r.Met {
			class = ""
		}
		for _, text := range ruleLines(r, svgColumns-8) {
			lines = append(lines, line{class, text})
		}
	}
	const x = svgMargin + 28
	height := svgRoad + len(lines)*svgLine - 6
	fmt.Fprintf(&s.b, `<path class="road" d="M%d %dV%dm-5 -7l5 7l5 -7"/>`+"\n", x, s.y+2, s.y+height-2)
	for i, l := range lines {
		s.text(x+16, s.y+21+i*svgLine, l.class, l.text)
	}
	s.y += height
}

// bars draws where the time went.
func (s *svg) bars(p *picture) {
	s.y += 34
	s.text(svgMargin, s.y, "name", "Own time")
	s.text(svgNumbers, s.y, "dim", fmt.Sprintf("%9s", "ms"))
	scale := float64(svgWidth-svgMargin-svgBars) / float64(max(p.whole, 1))
	for _, b := range p.bars {
		s.y += svgLine
		class := ""
		if b.depth > 0 {
			class = "dim"
		}
		s.text(svgMargin+14*b.depth, s.y, class, cells.Truncate(clean(b.name), nameColumns, "…"))
		if !b.timed {
			s.text(svgNumbers, s.y, "dim", "  unknown")
			continue
		}
		s.text(svgNumbers, s.y, class, fmt.Sprintf("%9.1f", ms(b.took)))
		from, to := float64(min(b.at, p.whole))*scale, float64(min(b.at+b.took, p.whole))*scale
		fmt.Fprintf(&s.b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="11" rx="1"/>`+"\n", b.kind, svgBars+from, s.y-10, max(to-from, 1.5))
	}
	s.y += svgLine
	s.text(svgNumbers, s.y, "name", fmt.Sprintf("%9.1f", ms(p.whole)))
}
