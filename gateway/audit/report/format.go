package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"jiragate/internal/spreadsheet"
)

// JSON returns the whole report as one indented object, as [Report] documents it.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("audit report as JSON: %w", err)
	}
	return b.Bytes(), nil
}

// WriteCSV writes the counts for a spreadsheet or a database (RFC 4180): a heading,
// and a row for each combination that came of
//
//	connection, day, kind, operation, decision, code, status, egress_ip, client, policy_sha256
//
// with what there was of it: records, bytes_in, bytes_out. A day is UTC. Kind is
// "call" or "act", of administration. Unknown text is empty, an unknown status 0.
// The sum of records is Calls and Acts of [Totals]. What did not happen has no row.
//
// After 100,000 rows, further combinations are counted by day, kind and decision
// alone, with the operation [More].
//
// A cell that a spreadsheet could take for a formula begins with an apostrophe.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	rows := [][]string{{"connection", "day", "kind", "operation", "decision", "code", "status", "egress_ip", "client", "policy_sha256", "records", "bytes_in", "bytes_out"}}
	for _, k := range r.cells {
		rows = append(rows, []string{r.Connection, k.day, k.kind, csvCell(k.operation), k.decision, csvCell(k.code), strconv.Itoa(k.status), csvCell(k.egressIP),
			csvCell(k.client), csvCell(k.policySHA256), strconv.FormatUint(k.n, 10), strconv.FormatInt(k.bytesIn, 10), strconv.FormatInt(k.bytesOut, 10)})
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("audit report as CSV: %w", err)
	}
	return nil
}

func csvCell(s string) string { return plain(spreadsheet.Cell(s)) }
