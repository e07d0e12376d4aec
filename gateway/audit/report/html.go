package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

// WriteHTML writes the report as one page without script, that asks for nothing
// elsewhere, and is fit for paper. [Seal] signs it.
func (r *Report) WriteHTML(w io.Writer) error {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, page{r})
	if err == nil {
		_, err = b.WriteTo(w)
	}
	if err != nil {
		return fmt.Errorf("audit report as HTML: %w", err)
	}
	return nil
}

// page is what the page asks beside the report.
type page struct{ *Report }

// MonthName is "November 2026".
func (p page) MonthName() string { return p.From.Format("January 2006") }

// MoreActs and MoreUnknown tell whether more came than are listed.
func (p page) MoreActs() bool    { return p.Totals.Acts > uint64(len(p.Acts)) }
func (p page) MoreUnknown() bool { return p.Totals.Unknown > uint64(len(p.Unknown)) }

// bar is a day in the chart, in units of its view box.
type bar struct {
	Day
	X, AllowedY, AllowedH, RefusedY, RefusedH float64
	Label                                     string // the day of the month, where there is room
}

// The chart: bars of 16 units every 20, 160 high.
const (
	barPitch    = 20
	chartHeight = 160
)

// ChartWidth is that of the view box.
func (p page) ChartWidth() int { return len(p.Days) * barPitch }

// Most is the greatest number of calls on a day.
func (p page) Most() uint64 {
	var most uint64
	for _, d := range p.Days {
		most = max(most, d.Allowed+d.Refused)
	}
	return most
}

// Bars are the days, refused calls on top of allowed ones. What there is at all can
// be seen.
func (p page) Bars() []bar {
	most := float64(max(p.Most(), 1))
	height := func(n uint64) float64 {
		if n == 0 {
			return 0
		}
		return max(float64(n)/most*(chartHeight-4), 2)
	}
	var bars []bar
	for i, d := range p.Days {
		b := bar{Day: d, X: float64(i*barPitch + 2), AllowedH: height(d.Allowed), RefusedH: height(d.Refused)}
		b.AllowedY = chartHeight - b.AllowedH
		b.RefusedY = b.AllowedY - b.RefusedH
		if i%5 == 0 {
			b.Label = strings.TrimLeft(d.Day[8:], "0")
		}
		bars = append(bars, b)
	}
	return bars
}

//go:embed report.html
var pageHTML string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"n":       grouped,
	"many":    many,
	"bytes":   func(n int64) string { return grouped(uint64(max(n, 0))) },
	"stamp":   stamp,
	"when":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"date":    func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	"edition": editionName,
	"dash":    func(s string) string { return orElse(s, "–") },
	"failed":  failedInWords,
	"units":   func(f float64) string { return fmt.Sprintf("%.1f", f) },
}).Parse(pageHTML))

func editionName(edition string) string {
	switch edition {
	case "cloud":
		return "Jira Cloud"
	case "datacenter":
		return "Jira Data Center and Server"
	}
	return orElse(edition, "not known")
}

// failedInWords lists by what the allowed calls of an operation ended otherwise than
// well: classes of statuses, and codes.
func failedInWords(o Operation) string {
	var parts []string
	for _, list := range [][]Count{o.Statuses, o.Codes} {
		for _, c := range list {
			switch c.Name {
			case "1xx", "2xx", "3xx":
			case "none":
				parts = append(parts, "no status: "+grouped(c.Count))
			default:
				parts = append(parts, c.Name+": "+grouped(c.Count))
			}
		}
	}
	return strings.Join(parts, ", ")
}
