package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// results are all numbers of a run.
type results struct {
	Machine string   `json:"machine"`
	Length  string   `json:"for"`
	Rounds  int      `json:"rounds"`
	Series  []series `json:"series"`
}

// cell names a number: a row and a column of a section's table.
type cell struct {
	Section string `json:"section"`
	Row     string `json:"row"`
	Column  string `json:"column"`
}

// series is a number as each round has found it.
type series struct {
	cell
	Values []float64 `json:"values"`
}

// column is a column of a section's table.
type column struct {
	name   string
	digits int // after the point
}

func (r *results) add(section, row, column string, value float64) {
	at := cell{section, row, column}
	for i := range r.Series {
		if r.Series[i].cell == at {
			r.Series[i].Values = append(r.Series[i].Values, value)
			return
		}
	}
	r.Series = append(r.Series, series{at, []float64{value}})
}

// values are what the rounds have found; none if it was not measured.
func (r *results) values(at cell) []float64 {
	for _, s := range r.Series {
		if s.cell == at {
			return s.Values
		}
	}
	return nil
}

// rows are the rows of a section, in the order in which they were first measured.
func (r *results) rows(section string) (rows []string) {
	for _, s := range r.Series {
		if s.Section == section && !slices.Contains(rows, s.Row) {
			rows = append(rows, s.Row)
		}
	}
	return rows
}

// table is the table of a section, with the medians of the rounds.
func (r *results) table(sec section) table {
	t := table{head: []string{""}}
	for _, c := range sec.columns {
		t.head = append(t.head, c.name)
	}
	for _, row := range r.rows(sec.name) {
		line := []string{row}
		for _, c := range sec.columns {
			line = append(line, shown(r.values(cell{sec.name, row, c.name}), c.digits))
		}
		t.rows = append(t.rows, line)
	}
	return t
}

func shown(values []float64, digits int) string {
	if len(values) == 0 {
		return ""
	}
	return grouped(fmt.Sprintf("%.*f", digits, median(values)))
}

// median is the middle of the values, or the mean of the two in the middle.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func (r *results) writeJSON(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
