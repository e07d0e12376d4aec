package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/telemetry"
)

// outputFormat is the value of --output: "table" for people, "json" for
// programs.
type outputFormat string

const (
	asTable outputFormat = "table"
	asJSON  outputFormat = "json"
)

// Set, String and Type make it a flag value.
func (f *outputFormat) Set(s string) error {
	switch o := outputFormat(s); o {
	case asTable, asJSON:
		*f = o
		return nil
	}
	return fmt.Errorf("use %s or %s", asTable, asJSON)
}

func (f *outputFormat) String() string { return string(*f) }

// Type is what help shows in the place of a value.
func (f *outputFormat) Type() string { return "table|json" }

func outputFlag(cmd *cobra.Command, f *outputFormat) {
	*f = asTable
	cmd.Flags().VarP(f, "output", "o", "how the result is written")
}

// writeJSON writes v indented, with each character escaped that could steer a
// terminal.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

// writeTable writes rows below a heading, in columns, cells escaped.
func writeTable(w io.Writer, heading []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = escapeText(cell); cell == "" {
				cells[i] = "-"
			}
		}
		if _, err := fmt.Fprintln(tw, strings.TrimRight(strings.Join(cells, "\t"), " ")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// writeFields writes one name and value a line. Empty values are left out.
func writeFields(w io.Writer, fields [][2]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		if f[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(tw, "%s\t%s\n", f[0], escapeText(f[1])); err != nil {
			return err
		}
	}
	return tw.Flush()
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// escapeText shows what would steer a terminal as \u1234.
func escapeText(s string) string { return string(telemetry.EscapeControls([]byte(s))) }

// escapeJSON does the same to lines of JSON, whose meaning it keeps: there,
// these characters occur in strings only.
func escapeJSON(text []byte) []byte { return escapeLines(text) }

// escapeLines does the same to text that keeps its lines.
func escapeLines(text []byte) []byte {
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines {
		lines[i] = telemetry.EscapeControls(line)
	}
	return bytes.Join(lines, []byte("\n"))
}
