package policy

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exportAs(t *testing.T, p *Policy, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Export(&b, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What each format makes of a small catalogue and two rules, one about all and one
// with every key, stands in testdata/export. A purpose has in it what the formats
// have to escape.
func TestExportOfASmallPolicy(t *testing.T) {
	p := written{`  - {id: a, purpose: "Read <a> & b|c, \"all\"", datacenter: {method: GET, path: "/rest/api/2/a/{issueIdOrKey}", projects: path}, cloud: {method: GET, path: /rest/api/3/a, projects: none, scope: "read:a", query: [{name: x, type: list, values: [b, c]}, {name: y}]}}
  - {id: b, purpose: Read b, cloud: {method: GET, path: /rest/api/3/a, when: {parameter: x, contains: b}, query: [{name: x, type: list, values: [b, c]}], projects: none, scope: "read:a"}}
  - {id: c, purpose: Write c, datacenter: {method: POST, path: /rest/api/2/c, body: issue, projects: body}}
  - {id: d, purpose: Succeed in Cloud, cloud: {method: GET, path: /rest/api/3/d, projects: none, scope: "read:d", successor_of: a}}
  - {id: e, purpose: Succeed in Data Center, datacenter: {method: GET, path: /rest/api/2/e, projects: none, successor_of: a}}
`, `  - {name: all, deny: [b, c]}
  - {name: some, connections: [acme, globex], clients: [crm, billing], deny: [a], projects: [ACME, "10000"], mode: report}
`}.build(t)
	for _, format := range ExportFormats() {
		want, err := os.ReadFile("testdata/export/small." + format)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), exportAs(t, p, format)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestEveryFormatShowsTheWholeTable(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	for _, format := range ExportFormats() {
		got := exportAs(t, p, format)
		for _, want := range []string{p.SHA256(), p.Version()} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q", format, want)
			}
		}
		for _, o := range p.Operations() {
			for _, want := range []string{o.ID, o.Purpose, o.Path, o.Scope} {
				if !strings.Contains(got, want) {
					t.Errorf("%s lacks %q of %s", format, want, o.ID)
				}
			}
		}
		if rules := strings.Contains(got, "acme-only-reads"); rules != (format != "csv") {
			t.Errorf("%s shows the operator's rules: %v", format, rules)
		}
	}
}

func TestMarkdownIsTheCustomersTable(t *testing.T) {
	got := exportAs(t, Default(), "md")
	for _, want := range []string{
		"| Purpose | Data Center edition and Server edition | Cloud edition |\n| --- | --- | --- |\n",
		"| Retrieve issue types for selected project | `/rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes` (GET) | `/rest/api/3/project/{projectIdOrKey}?expand=issueTypes` (GET) |\n",
		"| Publish a Jira Issue | `/rest/api/2/issue` (POST) | `/rest/api/3/issue` (POST) |\n",
		"`/rest/api/3/issue/createmeta/{projectIdOrKey}/issuetypes` (GET), off |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "Narrowing") {
		t.Error("without rules there is nothing to say about narrowing")
	}
	got = exportAs(t, mustNew(t, []byte("version: 1\nrules:\n  - {name: a, deny: [issue.delete]}\n")), "md")
	if want := "`/rest/api/2/issue/{issueIdOrKey}` (DELETE), switched off"; !strings.Contains(got, want) {
		t.Errorf("the table lacks %q", want)
	}
}

func TestMarkdownKeepsARowOnALine(t *testing.T) {
	p := written{`  - {id: a, purpose: "one|two\nthree\rfour", datacenter: {method: GET, path: /rest/api/2/a, projects: none}}`, ""}.build(t)
	if got, want := exportAs(t, p, "md"), "\n| one\\|two three four | `/rest/api/2/a` (GET) |  |\n"; !strings.Contains(got, want) {
		t.Errorf("the table lacks %q:\n%s", want, got)
	}
}

func TestJSONHasOneObjectAnOperationAndEdition(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	var got struct {
		Version, SHA256 string
		Operations      []map[string]any
		Rules           []map[string]any
	}
	if err := json.Unmarshal([]byte(exportAs(t, p, "json")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Operations) != 24 || len(got.Rules) != 5 {
		t.Fatalf("%d operations, %d rules", len(got.Operations), len(got.Rules))
	}
	for i, o := range p.Operations() {
		j := got.Operations[i]
		names := []string{}
		for _, n := range j["query"].([]any) {
			names = append(names, n.(string))
		}
		if j["id"] != o.ID || j["edition"] != string(o.Edition) || j["method"] != o.Method || j["path"] != o.Path ||
			j["purpose"] != o.Purpose || j["enabled"] != o.Enabled || !slices.Equal(names, o.QueryNames()) {
			t.Errorf("%s: %v", o.ID, j)
		}
		if scope, ok := j["scope"]; !ok || scope != o.Scope {
			t.Errorf("%s: scope %v", o.ID, scope)
		}
		if of, ok := j["successor_of"]; ok != (o.SuccessorOf != "") || ok && of != o.SuccessorOf {
			t.Errorf("%s: successor_of %v", o.ID, of)
		}
	}
}

func TestCSVHasNoFormulas(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(exportAs(t, mustNew(t, []byte(acmeRules)), "csv"))).ReadAll()
	if err != nil || len(rows) != 25 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r") {
				t.Errorf("the cell %q may be taken for a formula", cell)
			}
		}
	}
}

func TestHTMLIsSelfContained(t *testing.T) {
	got := exportAs(t, mustNew(t, []byte(acmeRules)), "html")
	for _, outside := range []string{"http:", "https:", "src=", "href=", "<script", "@import", "url("} {
		if strings.Contains(got, outside) {
			t.Errorf("the page has %q", outside)
		}
	}
	if strings.Count(got, "<table>") != 4 || strings.Count(got, "<table>") != strings.Count(got, "</table>") || !strings.HasSuffix(got, "</html>\n") {
		t.Errorf("the page is not whole:\n%s", got)
	}
}

func TestExportTellsErrors(t *testing.T) {
	for _, format := range []string{"", "pdf", "MD"} {
		if err := Default().Export(&bytes.Buffer{}, format); err == nil {
			t.Errorf("format %q: no error", format)
		}
	}
	full := errors.New("disk full")
	for _, format := range ExportFormats() {
		if err := Default().Export(failingWriter{full}, format); !errors.Is(err, full) {
			t.Errorf("%s: error %v, want %v", format, err, full)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
