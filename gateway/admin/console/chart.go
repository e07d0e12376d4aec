package console

import (
	"strconv"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit/activity"
)

// chart is drawn by a script above the table of its numbers.
type chart struct {
	Title string
	Note  string
	Scale string // "log", or empty
	Heads []head
	Rows  []chartRow
}

// head is a series: its name, what comes after its values, and "bars" or "line".
type head struct{ Name, Unit, Kind string }

type chartRow struct {
	Time   time.Time
	Values []chartValue
}

// chartValue is a number as scripts and as people read it; empty where there is none.
type chartValue struct{ Value, Shown string }

// plot makes a chart of points. Each of values tells its number of one, and whether
// there is one.
func plot(title, note string, heads []head, points []activity.Point, values ...func(activity.Point) (float64, bool)) chart {
	c := chart{Title: title, Note: note, Heads: heads}
	for _, p := range points {
		row := chartRow{Time: p.Start}
		for i, value := range values {
			cell := chartValue{Shown: "–"}
			if x, ok := value(p); ok {
				cell.Value = strconv.FormatFloat(x, 'g', 6, 64)
				cell.Shown = cell.Value + heads[i].Unit
			}
			row.Values = append(row.Values, cell)
		}
		c.Rows = append(c.Rows, row)
	}
	return c
}

func whole(f func(activity.Point) uint64) func(activity.Point) (float64, bool) {
	return func(p activity.Point) (float64, bool) { return float64(f(p)), true }
}

func maybe(f func(activity.Point) *float64) func(activity.Point) (float64, bool) {
	return func(p activity.Point) (float64, bool) {
		if x := f(p); x != nil {
			return *x, true
		}
		return 0, false
	}
}

// charts are those of calls, refusals, latency and rate limits over a time.
func charts(s admin.Activity) []chart {
	latency := plot("Time that calls take", "In milliseconds, at the gateway and at Jira together; estimated to within a few per cent.",
		[]head{{"Median", " ms", "line"}, {"95th percentile", " ms", "line"}}, s.Points,
		maybe(func(p activity.Point) *float64 { return p.P50 }), maybe(func(p activity.Point) *float64 { return p.P95 }))
	latency.Scale = "log"
	return []chart{
		plot("Calls", "", []head{{"Calls", "", "bars"}}, s.Points, whole(func(p activity.Point) uint64 { return p.Calls })),
		plot("Refused and failed", "", []head{{"Failed", "", "line"}, {"Refused", "", "line"}}, s.Points,
			whole(func(p activity.Point) uint64 { return p.Failed }), whole(func(p activity.Point) uint64 { return p.Refused })),
		latency,
		plot("Points of Atlassian's budget", "What calls of Cloud connections that were let through cost of the hourly points of the integration; estimated, as if all of them had reached Jira.",
			[]head{{"Points", "", "bars"}}, s.Points, whole(func(p activity.Point) uint64 { return p.BudgetPoints })),
		plot("Jira's rate limits", "Calls that Jira answered with 429, and calls that the gateway held back for the sake of Jira's limits.",
			[]head{{"Held back", "", "line"}, {"Limited by Jira", "", "line"}}, s.Points,
			whole(func(p activity.Point) uint64 { return p.Paced }), whole(func(p activity.Point) uint64 { return p.RateLimited })),
	}
}

// A window is the time that charts show: how long, and in what steps.
type window struct {
	Name string // as the address has it
	Text string
	Long time.Duration
	Step time.Duration
}

// Ago is the beginning of the window as the API takes it.
func (w window) Ago() string { return strconv.Itoa(int(w.Long/time.Hour)) + "h" }

var windows = []window{
	{"1h", "Last hour", time.Hour, time.Minute},
	{"24h", "Last 24 hours", 24 * time.Hour, 15 * time.Minute},
	{"7d", "Last 7 days", 7 * 24 * time.Hour, 2 * time.Hour},
	{"30d", "Last 30 days", 30 * 24 * time.Hour, 12 * time.Hour},
}

// chosen is the window that the address names, or a day's.
func chosen(name string) window {
	for _, w := range windows {
		if w.Name == name {
			return w
		}
	}
	return windows[1]
}

// topReasons is how many reasons are told one by one.
const topReasons = 6

// reasonCounts is why calls were refused.
type reasonCounts struct {
	Top  []activity.CodeCount
	Rest uint64 // calls that were refused for other reasons
}

func countReasons(s admin.Activity) reasonCounts {
	n := min(topReasons, len(s.Refusals))
	counts := reasonCounts{Top: s.Refusals[:n]}
	for _, c := range s.Refusals[n:] {
		counts.Rest += c.Calls
	}
	return counts
}

// quiet reports whether there is nothing to draw.
func quiet(s admin.Activity) bool { return s.Total.Calls == 0 && s.Total.Refused == 0 }
