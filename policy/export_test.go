package policy

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func exportAs(t *testing.T, p *Policy, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Export(&b, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
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

func TestExplain(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	tests := []struct {
		name string
		r    Request
		want []string
	}{
		{"allowed", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/%41CME", RawQuery: "expand=issueTypes"}, []string{
			"decision   allow\n", "issuetype.list: Retrieve issue types for selected project (Jira Cloud)", "template   GET /rest/api/3/project/{projectIdOrKey}\n",
			"scope      read:jira-work\n", "sends      GET /rest/api/3/project/ACME?expand=issueTypes\n", "policy     version 1.0, SHA-256 " + p.SHA256()}},
		{"refused by the catalogue", Request{Edition: Cloud, Method: "PUT", Path: "/rest/api/3/issue/ACME-1"}, []string{
			"decision   deny: method_not_documented\n", "because    the method \"PUT\"", "methods    DELETE\n"}},
		{"refused by a rule", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/SECRET", Connection: "limited", Client: "billing"}, []string{
			"deny: project_not_allowed", "rule       two-projects (enforce): refuses this call\n", "rule       acme-for-billing (enforce)\n"}},
		{"reported", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/priority", Connection: "trial"}, []string{
			"decision   allow\n", "rule       trial (report)\n", "reported   operation_switched_off"}},
		{"with a body", Request{Edition: DataCenter, Method: "POST", Path: "/rest/api/2/issue"}, []string{
			"body       required", "query      updateHistory (true or false)\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := p.Explain(tt.r)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("the text lacks %q:\n%s", want, got)
				}
			}
		})
	}
}
