package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/telemetry"
)

// outputFormat is the value of --output: "table" for people, "json" for
// programs, and for some commands others.
type outputFormat string

const (
	asTable outputFormat = "table"
	asJSON  outputFormat = "json"
	asCSV   outputFormat = "csv"
)

// outputValue is the flag, with the formats that a command has.
type outputValue struct {
	format  *outputFormat
	formats []string
}

// Set, String and Type make it a flag value.
func (v outputValue) Set(s string) error {
	if !slices.Contains(v.formats, s) {
		last := len(v.formats) - 1
		return fmt.Errorf("use %s or %s", strings.Join(v.formats[:last], ", "), v.formats[last])
	}
	*v.format = outputFormat(s)
	return nil
}

func (v outputValue) String() string { return string(*v.format) }

// Type is what help shows in the place of a value.
func (v outputValue) Type() string { return strings.Join(v.formats, "|") }

// outputFlag gives cmd the flag, for table, json and more.
func outputFlag(cmd *cobra.Command, f *outputFormat, more ...outputFormat) {
	*f = asTable
	v := outputValue{f, []string{string(asTable), string(asJSON)}}
	for _, m := range more {
		v.formats = append(v.formats, string(m))
	}
	cmd.Flags().VarP(v, "output", "o", "how the result is written")
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
