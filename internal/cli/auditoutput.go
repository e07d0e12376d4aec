package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"jiragate/gateway/audit"
	"jiragate/internal/spreadsheet"
)

// recordWriter writes call records in one format.
type recordWriter struct {
	record func(*audit.Entry) error
	end    func() error // writes what was kept back; more may follow
}

// newRecordWriter makes the one for a format. It writes the node of each record if they
// are of several logs.
func (a *app) newRecordWriter(output outputFormat, several bool) recordWriter {
	switch output {
	case asJSON:
		return recordWriter{
			record: func(e *audit.Entry) error {
				if several {
					return a.printf("%s\n", withNode(e))
				}
				return a.printf("%s\n", e.Raw)
			},
			end: func() error { return nil },
		}
	case asCSV:
		return a.newCSVWriter(several)
	}
	return a.newRecordTable(several)
}

// withNode is the line of a record with its node before what stands there.
func withNode(e *audit.Entry) []byte {
	node, err := json.Marshal(e.Node)
	if err != nil {
		panic("cli: a text cannot be written as JSON: " + err.Error())
	}
	return slices.Concat([]byte(`{"node":`), node, []byte(","), e.Raw[1:])
}

// newRecordTable writes a table with what it has when it ends for the first time, and
// further rows in the same columns, which grow as they must.
func (a *app) newRecordTable(several bool) recordWriter {
	heading := []string{"TIME", "CLIENT", "CONNECTION", "METHOD", "OPERATION", "DECISION", "CODE", "STATUS", "EGRESS", "MS", "ID"}
	if several {
		heading = slices.Insert(heading, 1, "NODE")
	}
	var rows [][]string
	widths := make([]int, len(heading))
	begun := false
	return recordWriter{
		record: func(e *audit.Entry) error {
			row := tableRow(&e.Record)
			if several {
				row = slices.Insert(row, 1, e.Node)
			}
			rows = append(rows, row)
			return nil
		},
		end: func() error {
			defer func() { begun, rows = true, nil }()
			for _, row := range append([][]string{heading}, rows...) {
				for i, cell := range row {
					widths[i] = max(widths[i], utf8.RuneCountInString(escapeText(cell)))
				}
			}
			if !begun {
				return writeTable(a.out, heading, rows)
			}
			for _, row := range rows {
				if err := a.printf("%s\n", paddedRow(row, widths)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// paddedRow is a row as [writeTable] writes it, in columns that are as wide as told.
func paddedRow(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		if cell = escapeText(cell); cell == "" {
			cell = "-"
		}
		fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
	}
	return strings.TrimRight(b.String(), " ")
}

func tableRow(r *audit.Record) []string {
	what := r.Operation
	if what == "" {
		what = r.Path
	}
	return []string{
		timeText(r.Time), r.Client, r.Connection, r.Method, what, r.Decision, r.Code,
		strconv.Itoa(r.Status), r.EgressIP, strconv.FormatFloat(r.DurationMS, 'f', 0, 64), r.ID,
	}
}

// newCSVWriter writes RFC 4180, with a header.
func (a *app) newCSVWriter(several bool) recordWriter {
	w := csv.NewWriter(a.out)
	w.UseCRLF = true
	headed := false
	head := func() error {
		if headed {
			return nil
		}
		headed = true
		keys := recordKeys()
		if several {
			keys = slices.Insert(keys, 0, "node")
		}
		return w.Write(keys)
	}
	return recordWriter{
		record: func(e *audit.Entry) error {
			if err := head(); err != nil {
				return err
			}
			row := csvRow(&e.Record)
			if several {
				row = slices.Insert(row, 0, csvCell(e.Node))
			}
			return w.Write(row)
		},
		end: func() error {
			if err := head(); err != nil {
				return err
			}
			w.Flush()
			return w.Error()
		},
	}
}

// recordKeys are the keys of a record, in their order.
func recordKeys() []string {
	var keys []string
	for field := range reflect.TypeFor[audit.Record]().Fields() {
		keys = append(keys, field.Tag.Get("json"))
	}
	return keys
}

// csvRow has a cell for each of recordKeys.
func csvRow(r *audit.Record) []string {
	names := ""
	if len(r.QueryNames) > 0 {
		b, err := json.Marshal(r.QueryNames)
		if err != nil {
			panic("cli: a list of texts cannot be written as JSON: " + err.Error())
		}
		names = string(b)
	}
	row := []string{
		strconv.FormatUint(r.Seq, 10), r.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), r.ID, r.Client, r.ClientAddr,
		r.Connection, r.Edition, r.Region, r.Method, r.Operation, r.Path, names, r.Decision, r.Code,
		r.PolicySHA256, r.Credential, r.EgressIP, r.UpstreamAddr, strconv.Itoa(r.Status),
		strconv.FormatInt(r.BytesIn, 10), strconv.FormatInt(r.BytesOut, 10),
		strconv.FormatFloat(r.DurationMS, 'f', -1, 64), r.TraceID, r.Prev,
	}
	for i, cell := range row {
		row[i] = csvCell(cell)
	}
	return row
}

func csvCell(s string) string { return escapeText(spreadsheet.Cell(s)) }
