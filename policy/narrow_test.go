package policy

import (
	"slices"
	"strings"
	"testing"
)

const acmeRules = `
version: 1
successors: [createmeta.issuetypes]
rules:
  - name: acme-only-reads
    connections: [acme]
    clients: [billing]
    deny: [issue.delete, issue.create]
  - name: no-issue-types
    connections: [strict]
    deny: [issuetype.list]
  - name: two-projects
    connections: [limited]
    projects: [ACME, "10000"]
  - name: acme-for-billing
    connections: [limited]
    clients: [billing]
    projects: [ACME, OPS]
  - name: trial
    connections: [trial]
    deny: [priority.list]
    projects: [ACME]
    mode: report
`

func TestOperationsAreSwitchedOff(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	del := Request{Edition: Cloud, Method: "DELETE", Path: "/rest/api/3/issue/ACME-1"}
	tests := []struct {
		name               string
		connection, client string
		r                  Request
		rule               string // "" if allowed
	}{
		{"both fit", "acme", "billing", del, "acme-only-reads"},
		{"another client", "acme", "crm", del, ""},
		{"another connection", "globex", "billing", del, ""},
		{"no names", "", "", del, ""},
		{"an operation that the rule leaves alone", "acme", "billing", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/myself"}, ""},
		{"the other edition too", "acme", "billing", Request{Edition: DataCenter, Method: "POST", Path: "/rest/api/2/issue"}, "acme-only-reads"},
		{"issue types", "strict", "billing", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: "expand=issueTypes"}, "no-issue-types"},
		{"issue types through project.get", "strict", "billing", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: "properties=x&expand=lead,issueTypes"}, "no-issue-types"},
		{"a project without issue types", "strict", "billing", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: "expand=lead"}, ""},
		{"a successor that is on", "strict", "billing", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/issue/createmeta/ACME/issuetypes"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Connection, tt.r.Client = tt.connection, tt.client
			d := p.Decide(tt.r)
			if tt.rule == "" {
				if !d.Allowed() || d.Rule != "" {
					t.Errorf("%s: %s", d.Code, d.Detail)
				}
				return
			}
			checkDenial(t, d, CodeOperationSwitchedOff)
			if d.Rule != tt.rule || !strings.Contains(d.Detail, tt.rule) {
				t.Errorf("rule %q, detail %q; want %q", d.Rule, d.Detail, tt.rule)
			}
		})
	}
}

func TestProjectLimits(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	type call struct {
		edition             Edition
		method, path, query string
	}
	allowed := []call{
		{Cloud, "GET", "/rest/api/3/myself", ""},
		{Cloud, "GET", "/rest/api/3/priority", ""},
		{Cloud, "GET", "/rest/api/3/user/picker", "query=a"},
		{Cloud, "GET", "/rest/api/3/project/ACME", ""},
		{Cloud, "GET", "/rest/api/3/project/%41CME", ""},
		{Cloud, "GET", "/rest/api/3/project/10000", "expand=issueTypes"},
		{Cloud, "GET", "/rest/api/3/project/ACME/components", ""},
		{Cloud, "GET", "/rest/api/3/issue/createmeta/ACME/issuetypes", ""},
		{Cloud, "GET", "/rest/api/3/project/search", "keys=ACME&id=10000&startAt=0"},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectKeys=ACME&projectIds=10000"},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectKeys=ACME,ACME"},
		{Cloud, "GET", "/rest/api/3/user/assignable/search", "project=ACME&issueKey=ACME-7"},
		{Cloud, "DELETE", "/rest/api/3/issue/ACME-7", ""},
		{DataCenter, "GET", "/rest/api/2/issue/createmeta/ACME/issuetypes/7", ""},
		{DataCenter, "GET", "/rest/api/2/user/assignable/search", "project=ACME"},
	}
	refused := []call{
		{DataCenter, "GET", "/rest/api/2/project", ""},
		{Cloud, "GET", "/rest/api/3/project/OTHER", ""},
		{Cloud, "GET", "/rest/api/3/project/10001", ""},
		{Cloud, "GET", "/rest/api/3/project/ACME2/components", ""},
		{Cloud, "GET", "/rest/api/3/issue/createmeta/OTHER/issuetypes", ""},
		{Cloud, "GET", "/rest/api/3/project/search", ""},
		{Cloud, "GET", "/rest/api/3/project/search", "query=ACME"},
		{Cloud, "GET", "/rest/api/3/project/search", "keys=ACME&keys=OTHER"},
		{Cloud, "GET", "/rest/api/3/project/search", "keys=ACME&id=10001"},
		{Cloud, "GET", "/rest/api/3/project/search", "keys=ACME,OTHER"},
		{Cloud, "GET", "/rest/api/3/project/search", "keys="},
		{Cloud, "GET", "/rest/api/3/project/search", "keys=acme"},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", ""},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", "issuetypeIds=10000"},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectKeys=ACME&projectIds=10001"},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectKeys=ACME,OTHER"},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectKeys=ACME,"},
		{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectKeys=ACME%20"},
		{Cloud, "GET", "/rest/api/3/user/assignable/search", "query=a"},
		{Cloud, "GET", "/rest/api/3/user/assignable/search", "project=OTHER"},
		{Cloud, "GET", "/rest/api/3/user/assignable/search", "project=ACME&issueKey=OTHER-1"},
		{Cloud, "GET", "/rest/api/3/user/assignable/search", "project=ACME&issueId=10000"},
		{Cloud, "GET", "/rest/api/3/user/assignable/search", "issueKey=ACME"},
		{Cloud, "DELETE", "/rest/api/3/issue/OTHER-7", ""},
		{Cloud, "DELETE", "/rest/api/3/issue/10000", ""},
		{DataCenter, "GET", "/rest/api/2/issue/createmeta/OTHER/issuetypes/7", ""},
		{DataCenter, "GET", "/rest/api/2/issue/createmeta/7/issuetypes/10000", ""},
	}
	decide := func(c call) Decision {
		return p.Decide(Request{Edition: c.edition, Method: c.method, Path: c.path, RawQuery: c.query, Connection: "limited", Client: "crm"})
	}
	for _, c := range allowed {
		if d := decide(c); !d.Allowed() {
			t.Errorf("%+v: %s %s", c, d.Code, d.Detail)
		}
	}
	for _, c := range refused {
		d := decide(c)
		checkDenial(t, d, CodeProjectNotAllowed)
		if d.Rule != "two-projects" {
			t.Errorf("%+v: rule %q, detail %s", c, d.Rule, d.Detail)
		}
		if d := Default().Decide(Request{Edition: c.edition, Method: c.method, Path: c.path, RawQuery: c.query}); !d.Allowed() && d.Operation.SuccessorOf == "" {
			t.Errorf("%+v is not refused for its project: %s %s", c, d.Code, d.Detail)
		}
	}
}

func TestLimitsIntersect(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	for project, allowed := range map[string]bool{"ACME": true, "OPS": false, "10000": false, "OTHER": false} {
		d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/" + project, Connection: "limited", Client: "billing"})
		if d.Allowed() != allowed {
			t.Errorf("%s: %q %s", project, d.Code, d.Detail)
		}
	}
}

func TestProjectLimitsOnBodies(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	tests := []struct {
		name, body string
		allowed    bool
	}{
		{"key", `{"fields":{"project":{"key":"ACME"}}}`, true},
		{"id", `{"fields":{"project":{"id":"10000"}}}`, true},
		{"id as a number", `{"fields":{"project":{"id":10000}}}`, true},
		{"key and id", `{"fields":{"project":{"id":"10000","key":"ACME","name":"x"}}}`, true},
		{"escaped key", `{"fields":{"project":{"\u006bey":"\u0041CME"}}}`, true},
		{"keys and ids of other fields", `{"fields":{"issuetype":{"id":"1"},"project":{"key":"ACME"},"parent":{"key":"OTHER-1"}}}`, true},
		{"other key", `{"fields":{"project":{"key":"OTHER"}}}`, false},
		{"other id", `{"fields":{"project":{"id":"10001"}}}`, false},
		{"key allowed, id not", `{"fields":{"project":{"key":"ACME","id":"10001"}}}`, false},
		{"id allowed, key not", `{"fields":{"project":{"id":"10000","key":"OTHER"}}}`, false},
		{"id in another notation", `{"fields":{"project":{"id":1e4}}}`, false},
		{"key in lower case", `{"fields":{"project":{"key":"acme"}}}`, false},
		{"key null", `{"fields":{"project":{"key":null}}}`, false},
		{"key an object", `{"fields":{"project":{"key":{"key":"ACME"}}}}`, false},
		{"name alone", `{"fields":{"project":{"name":"ACME"}}}`, false},
		{"empty project", `{"fields":{"project":{}}}`, false},
		{"project a string", `{"fields":{"project":"ACME"}}`, false},
		{"project a list", `{"fields":{"project":[{"key":"ACME"}]}}`, false},
		{"no project", `{"fields":{"summary":"x"}}`, false},
		{"project elsewhere", `{"fields":{"parent":{"project":{"key":"ACME"}}}}`, false},
		{"project beside a decoy", `{"fields":{"custom":{"project":{"key":"ACME"}},"project":{"key":"OTHER"}}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Request{Edition: Cloud, Method: "POST", Path: "/rest/api/3/issue", Connection: "limited", Client: "crm"}
			d := p.Decide(r)
			if !d.Allowed() {
				t.Fatalf("before the body: %s %s", d.Code, d.Detail)
			}
			body, d := p.DecideBody(d, r, "application/json", []byte(tt.body))
			if tt.allowed {
				if !d.Allowed() || body == nil {
					t.Errorf("%s %s", d.Code, d.Detail)
				}
				return
			}
			checkDenial(t, d, CodeProjectNotAllowed)
			if body != nil || d.Rule != "two-projects" {
				t.Errorf("rule %q, body %q", d.Rule, body)
			}
			r.Connection = "globex"
			if _, d := p.DecideBody(p.Decide(r), r, "application/json", []byte(tt.body)); !d.Allowed() {
				t.Errorf("without a limit: %s %s", d.Code, d.Detail)
			}
		})
	}
}

func TestReportAllowsAndReports(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	r := Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/priority", Connection: "trial"}
	if d := p.Decide(r); !d.Allowed() || !slices.Equal(d.Reported, []Code{CodeOperationSwitchedOff}) {
		t.Errorf("priority: %q, reported %v", d.Code, d.Reported)
	}
	r.Path, r.RawQuery = "/rest/api/3/issue/createmeta", "projectKeys=OTHER,MORE"
	if d := p.Decide(r); !d.Allowed() || !slices.Equal(d.Reported, []Code{CodeProjectNotAllowed}) {
		t.Errorf("createmeta: %q, reported %v", d.Code, d.Reported)
	}
	r = Request{Edition: Cloud, Method: "POST", Path: "/rest/api/3/issue", Connection: "trial"}
	before := p.Decide(r)
	body, d := p.DecideBody(before, r, "application/json", []byte(`{"fields":{"project":{"key":"OTHER"}}}`))
	if !d.Allowed() || body == nil || !slices.Equal(d.Reported, []Code{CodeProjectNotAllowed}) {
		t.Errorf("create: %q, reported %v", d.Code, d.Reported)
	}
	if before.Reported != nil {
		t.Errorf("deciding the body changed the earlier decision: %v", before.Reported)
	}
	r.Connection = "globex"
	if d := p.Decide(r); d.Reported != nil {
		t.Errorf("another connection reports %v", d.Reported)
	}
}

func TestEnabledTellsWhatIsOffForAll(t *testing.T) {
	p := mustNew(t, []byte("version: 1\nsuccessors: [createmeta.fields]\nrules:\n"+
		"  - {name: a, deny: [issue.delete]}\n  - {name: b, deny: [issue.create], mode: report}\n  - {name: c, clients: [x], deny: [myself.get]}\n"))
	var off []string
	for _, o := range p.Operations() {
		if !o.Enabled {
			off = append(off, string(o.Edition)+" "+o.ID)
		}
	}
	want := []string{"datacenter issue.delete", "cloud issue.delete", "cloud createmeta.issuetypes"}
	if !slices.Equal(off, want) {
		t.Errorf("off are %v, want %v", off, want)
	}
}

func TestDetailOfALongLimitStaysShort(t *testing.T) {
	var projects []string
	for i := range 500 {
		projects = append(projects, "P"+strings.Repeat("X", i%3+1)+string(rune('A'+i%26))+strings.Repeat("Y", i/26))
	}
	p := mustNew(t, []byte("version: 1\nrules:\n  - name: a\n    projects: ["+strings.Join(projects, ", ")+"]\n"))
	d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/" + strings.Repeat("Z", 255)})
	checkDenial(t, d, CodeProjectNotAllowed)
	if !strings.Contains(d.Detail, "and 490 more") {
		t.Errorf("detail %q", d.Detail)
	}
}

func TestNamesOfRulesClientsAndConnections(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "9": true, "billing-eu.v2_x": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, ".a": false, "A": false, "a b": false, "a,b": false, "=a": false, "\u00fc": false, strings.Repeat("a", 64): false,
	} {
		if isName(name) != want {
			t.Errorf("isName(%q) = %v", name, !want)
		}
	}
}
