package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
)

// writeAuditLog writes records of three hours, and gives the lines of their segments.
func writeAuditLog(t *testing.T, c Config) []string {
	t.Helper()
	l, err := audit.Open(audit.Options{Dir: c.auditDir(), Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		_, err := l.Append(audit.Record{
			Time:   time.Date(2026, 11, 23, 10+n/10, n, 0, 0, time.UTC),
			Client: "=HYPERLINK(\"http://evil.example\")", Connection: fmt.Sprintf("customer-%d", n%3), Method: "GET", Path: "/rest/\x1b[2J\u202e",
			QueryNames: []string{"a,b", "c\"d"}, Decision: audit.DecisionDeny, Code: "not_granted", Status: 403, DurationMS: 1.5,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(c.auditDir(), "*.jsonl"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	var lines []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines = slices.AppendSeq(lines, strings.Lines(string(text)))
	}
	return lines
}

// TestAuditQueryIsByteForByteTheLog: with an index, without, and where there cannot be
// one.
func TestAuditQueryIsByteForByteTheLog(t *testing.T) {
	c, environ := testConfig(t)
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	lines := writeAuditLog(t, c)
	want := ""
	for _, line := range lines {
		if strings.Contains(line, `"customer-1"`) {
			want += line
		}
	}
	query := []string{"audit", "query", "--connection", "customer-1", "--output", "json"}
	ask := func(name string, more ...string) {
		t.Helper()
		code, got, stderr := run(t, environ, "", append(query, more...)...)
		if code != 0 || got != want || stderr != "" {
			t.Errorf("%s: exit code %d, %d bytes, want %d, and says %q", name, code, len(got), len(want), stderr)
		}
	}
	ask("before there is an index", "--no-index")
	if _, err := os.Stat(c.auditIndexFile()); err == nil {
		t.Error("--no-index made an index")
	}
	ask("for the first time")
	if _, err := os.Stat(c.auditIndexFile()); err != nil {
		t.Error(err)
	}
	ask("for the second time")
	if got := mustRun(t, environ, "", "audit", "query", "--output", "json"); got != strings.Join(lines, "") {
		t.Errorf("all: %d bytes", len(got))
	}
	if got := mustRun(t, environ, "", "audit", "query", "--output", "json", "--limit", "2"); got != lines[28]+lines[29] {
		t.Errorf("the last two: %s", got)
	}
	if got := mustRun(t, environ, "", "audit", "reindex"); got != "file      "+c.auditIndexFile()+"\nsegments  2\nrecords   20\n" {
		t.Errorf("reindex: %s", got)
	}
	ask("after it was made anew")
	if err := os.Remove(c.auditIndexFile()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.auditIndexFile(), 0o700); err != nil {
		t.Fatal(err)
	}
	ask("something else is in its place")
	if code, _, stderr := run(t, environ, "", "audit", "reindex"); code != 1 || !strings.Contains(stderr, "is not a regular file") {
		t.Errorf("reindex: exit code %d, %s", code, stderr)
	}
}

func TestAuditQueryWithoutALogLeavesNoIndex(t *testing.T) {
	c, environ := testConfig(t)
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"query --client billing", "reindex"} {
		code, stdout, stderr := run(t, environ, "", append([]string{"audit"}, strings.Fields(command)...)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, "hint: the gateway makes the log") {
			t.Errorf("%s: exit code %d, %q, %s", command, code, stdout, stderr)
		}
	}
	if _, err := os.Stat(c.auditIndexFile()); err == nil {
		t.Error("there is an index of no log")
	}
}

func TestAuditQueryAsCSV(t *testing.T) {
	c, environ := testConfig(t)
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	lines := writeAuditLog(t, c)
	out := mustRun(t, environ, "", "audit", "query", "--connection", "customer-2", "--limit", "2", "--output", "csv")
	if strings.Count(out, "\r\n") != 3 || strings.Count(out, "\n") != 3 {
		t.Errorf("the lines are not those of RFC 4180:\n%s", out)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	// The values are those of the log, in its order, except where they would do harm.
	d := json.NewDecoder(strings.NewReader(lines[29]))
	d.UseNumber()
	for column := -1; d.More(); column++ {
		token, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		if column < 0 {
			continue // the brace
		}
		var value any
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint(value)
		switch token {
		case "client":
			want = "'" + want
		case "path":
			want = `/rest/\u001b[2J\u202e`
		case "query_names":
			want = `["a,b","c\"d"]`
		}
		if rows[0][column] != token || rows[2][column] != want {
			t.Errorf("column %d is %s with %q, want %s with %q", column, rows[0][column], rows[2][column], token, want)
		}
	}
	if got := mustRun(t, environ, "", "audit", "query", "--client", "nobody", "--output", "csv"); got != strings.Join(rows[0], ",")+"\r\n" {
		t.Errorf("no records: %q", got)
	}
	if code, _, stderr := run(t, environ, "", "audit", "verify", "--output", "csv"); code != 2 || !strings.Contains(stderr, "use table or json") {
		t.Errorf("a command without CSV: exit code %d, %s", code, stderr)
	}
}

func TestCSVCellsAreNoFormulas(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"acme":        "acme",
		"a=1":         "a=1",
		"=1+1":        "'=1+1",
		"+1":          "'+1",
		"-1":          "'-1",
		"@SUM(A1)":    "'@SUM(A1)",
		"\t=1":        `'\u0009=1`,
		"\r=1":        `'\u000d=1`,
		"\n=1":        `'\u000a=1`,
		"\uff1d1":     "'\uff1d1",
		"red\x1b[31m": `red\u001b[31m`,
	} {
		if got := csvCell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
