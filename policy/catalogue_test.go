package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented is the customers' table, with the query names of Atlassian's
// specifications: Cloud v3 (December 2025), Data Center 10.3.24, Server 8.4.3.
// It repeats jira.yaml on purpose: a change of either must be made twice.
var documented = []struct {
	id      string
	edition Edition
	method  string
	path    string
	query   string // names
	scope   string
	purpose string
}{
	{"myself.get", DataCenter, "GET", "/rest/api/2/myself", "", "", "Get authorized user info, test connectivity"},
	{"myself.get", Cloud, "GET", "/rest/api/3/myself", "expand", "read:jira-user", "Get authorized user info, test connectivity"},
	{"project.list", DataCenter, "GET", "/rest/api/2/project", "expand recent includeArchived browseArchive", "", "List projects"},
	{"project.list", Cloud, "GET", "/rest/api/3/project/search", "startAt maxResults orderBy id keys query typeKey categoryId action expand status properties propertyQuery", "read:jira-work", "List projects"},
	{"project.get", DataCenter, "GET", "/rest/api/2/project/{projectIdOrKey}", "expand", "", "Retrieve project details"},
	{"project.get", Cloud, "GET", "/rest/api/3/project/{projectIdOrKey}", "expand properties", "read:jira-work", "Retrieve project details"},
	{"issuetype.list", DataCenter, "GET", "/rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes", "startAt maxResults", "", "Retrieve issue types for selected project"},
	{"issuetype.list", Cloud, "GET", "/rest/api/3/project/{projectIdOrKey}", "expand", "read:jira-work", "Retrieve issue types for selected project"},
	{"field.list", DataCenter, "GET", "/rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes/{issueTypeId}", "startAt maxResults", "", "Retrieve field definitions for issue type"},
	{"field.list", Cloud, "GET", "/rest/api/3/issue/createmeta", "projectIds projectKeys issuetypeIds issuetypeNames expand", "read:jira-work", "Retrieve field definitions for issue type"},
	{"component.list", DataCenter, "GET", "/rest/api/2/project/{projectIdOrKey}/components", "", "", "Retrieve components for custom fields"},
	{"component.list", Cloud, "GET", "/rest/api/3/project/{projectIdOrKey}/components", "componentSource", "read:jira-work", "Retrieve components for custom fields"},
	{"user.picker", DataCenter, "GET", "/rest/api/2/user/picker", "query maxResults showAvatar exclude", "", "Retrieve users for custom fields"},
	{"user.picker", Cloud, "GET", "/rest/api/3/user/picker", "query maxResults showAvatar exclude excludeAccountIds avatarSize excludeConnectUsers", "read:jira-user", "Retrieve users for custom fields"},
	{"user.assignable", DataCenter, "GET", "/rest/api/2/user/assignable/search", "username project issueKey startAt maxResults actionDescriptorId", "", "Search for assigned user"},
	{"user.assignable", Cloud, "GET", "/rest/api/3/user/assignable/search", "query sessionId username accountId project issueKey issueId startAt maxResults actionDescriptorId recommend", "read:jira-user", "Search for assigned user"},
	{"priority.list", DataCenter, "GET", "/rest/api/2/priority", "", "", "Retrieve priority options"},
	{"priority.list", Cloud, "GET", "/rest/api/3/priority", "", "read:jira-work", "Retrieve priority options"},
	{"issue.create", DataCenter, "POST", "/rest/api/2/issue", "updateHistory", "", "Publish a Jira Issue"},
	{"issue.create", Cloud, "POST", "/rest/api/3/issue", "updateHistory", "write:jira-work", "Publish a Jira Issue"},
	{"issue.delete", DataCenter, "DELETE", "/rest/api/2/issue/{issueIdOrKey}", "deleteSubtasks", "", "Delete a published Jira Issue"},
	{"issue.delete", Cloud, "DELETE", "/rest/api/3/issue/{issueIdOrKey}", "deleteSubtasks", "write:jira-work", "Delete a published Jira Issue"},
}

func TestCatalogueIsTheDocumentedTable(t *testing.T) {
	var got []Operation
	for _, o := range Default().Operations() {
		if o.SuccessorOf != "" {
			continue
		}
		if !o.Enabled {
			t.Errorf("%s of %s is not enabled", o.ID, o.Edition)
		}
		got = append(got, o)
	}
	if len(got) != len(documented) || len(got) != 22 {
		t.Fatalf("the catalogue has %d documented operations, want %d", len(got), len(documented))
	}
	for i, want := range documented {
		o := got[i]
		row := []string{o.ID, string(o.Edition), o.Method, o.Path, strings.Join(o.QueryNames(), " "), o.Scope, o.Purpose}
		if diff := cmp.Diff([]string{want.id, string(want.edition), want.method, want.path, want.query, want.scope, want.purpose}, row); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", want.id, want.edition, diff)
		}
		body := BodyDropped
		if o.Method == "POST" {
			body = BodyIssue
		}
		if o.Body != body {
			t.Errorf("%s of %s has the body rule %q, want %q", o.ID, o.Edition, o.Body, body)
		}
	}
}

func TestSuccessorsAreOff(t *testing.T) {
	var got []string
	for _, o := range Default().Operations() {
		if o.SuccessorOf != "" {
			if o.Enabled || o.Edition != Cloud || o.SuccessorOf != "field.list" {
				t.Errorf("%s: enabled %v, edition %s, successor of %s", o.ID, o.Enabled, o.Edition, o.SuccessorOf)
			}
			got = append(got, o.ID)
		}
	}
	if want := []string{"createmeta.issuetypes", "createmeta.fields"}; !slices.Equal(got, want) {
		t.Errorf("successors are %v, want %v", got, want)
	}
}

// The values of expand per operation, from the text of the Cloud specification
// and the project examples of the Server one.
func TestExpandValues(t *testing.T) {
	want := map[string]string{
		"cloud myself.get":        "groups applicationRoles",
		"cloud project.list":      "description projectKeys lead issueTypes url insight",
		"cloud project.get":       "description issueTypes lead projectKeys issueTypeHierarchy",
		"cloud issuetype.list":    "description issueTypes lead projectKeys issueTypeHierarchy",
		"cloud field.list":        "projects.issuetypes.fields",
		"datacenter project.list": "description lead url projectKeys",
		"datacenter project.get":  "description lead url projectKeys",
	}
	got := make(map[string]string)
	for _, o := range Default().Operations() {
		if q := o.parameter("expand"); q != nil {
			got[string(o.Edition)+" "+o.ID] = strings.Join(q.Values, " ")
			if !q.Repeatable || q.Type != TypeList {
				t.Errorf("expand of %s on %s: type %s, repeatable %v", o.ID, o.Edition, q.Type, q.Repeatable)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values of expand (-want +got):\n%s", diff)
	}
}

func TestRepeatableParametersAreTheArraysOfTheSpecifications(t *testing.T) {
	want := map[string]string{
		"cloud project.list":     "id keys status properties",
		"cloud project.get":      "properties",
		"cloud field.list":       "projectIds projectKeys issuetypeIds issuetypeNames",
		"cloud user.picker":      "exclude excludeAccountIds",
		"datacenter user.picker": "exclude",
	}
	got := make(map[string]string)
	for _, o := range Default().Operations() {
		for _, q := range o.Query {
			if q.Repeatable && q.Name != "expand" {
				key := string(o.Edition) + " " + o.ID
				got[key] = strings.TrimSpace(got[key] + " " + q.Name)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("repeatable parameters (-want +got):\n%s", diff)
	}
}

func TestSHA256IdentifiesCatalogueAndRules(t *testing.T) {
	one, two := []byte("version: 1\n"), []byte("version: 1\n# changed\n")
	sums := make(map[string]string)
	for name, p := range map[string]*Policy{"no rules": Default(), "one": mustNew(t, one), "two": mustNew(t, two)} {
		if len(p.SHA256()) != 64 || p.Version() != "1.0" {
			t.Errorf("%s: version %q, SHA-256 %q", name, p.Version(), p.SHA256())
		}
		if other, ok := sums[p.SHA256()]; ok {
			t.Errorf("%q and %q have one hash", name, other)
		}
		sums[p.SHA256()] = name
	}
	if _, ok := sums[mustNew(t, one).SHA256()]; !ok {
		t.Error("the same rules gave two hashes")
	}
}

func TestBrokenCatalogueIsRefused(t *testing.T) {
	good := embeddedCatalogue
	tests := []struct{ name, old, new, want string }{
		{"operation twice", "id: project.list", "id: myself.get", `the operation "myself.get" is there twice`},
		{"method unknown", "method: DELETE", "method: PATCH", `method cannot be "PATCH"`},
		{"key unknown", "method: DELETE", "verb: DELETE", `has no key "verb"`},
		{"method missing", "method: DELETE\n", "scope: x\n", `lacks the key "method"`},
		{"path elsewhere", "path: /rest/api/2/myself", "path: /rest/agile/1.0/board", "must begin with /rest/api/"},
		{"path of the other edition", "path: /rest/api/3/myself", "path: /rest/api/2/myself", "are below /rest/api/2"},
		{"path literal like a key", "path: /rest/api/2/priority", "path: /rest/api/2/PRIORITY", "literals are lower case letters"},
		{"path parameter unknown", "project/{projectIdOrKey}/components", "project/{name}/components", "has no grammar"},
		{"path twice", "path: /rest/api/2/priority", "path: /rest/api/2/myself", "is there already"},
		{"POST without body", "body: issue\n", "\n", "a POST needs a body rule"},
		{"body on GET", "path: /rest/api/2/priority", "body: issue\n      path: /rest/api/2/priority", "a POST needs a body rule"},
		{"scope missing", "scope: write:jira-work", "# none", "needs a scope"},
		{"successor of nothing", "successor_of: field.list", "successor_of: nothing", "which is no operation"},
		{"condition on nothing", "contains: issueTypes", "contains: avatar", "is not about a documented value"},
		{"projects named nowhere", "path: /rest/api/2/priority\n      projects: none", "path: /rest/api/2/priority\n      projects: path", "nothing in its path names a project"},
		{"values without a list", "type: choice, values", "values", "a choice or a list needs values"},
		{"parameter twice", "{name: propertyQuery}", "{name: query}", "is there twice"},
		{"parameter type unknown", "type: boolean", "type: bool", `did you mean "boolean"`},
		{"repeat not boolean", "{name: id, repeat: true", "{name: id, repeat: often", "must be true or false"},
		{"in no edition", "  - id: priority.list", "  - id: nothing.get\n    purpose: Nothing\n  - id: priority.list", "is in no edition; add datacenter or cloud"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatalf("the catalogue has no %q to replace", tt.old)
			}
			_, err := build([]byte(bad), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if e, ok := errors.AsType[*DocumentError](err); !ok || e.Document != "policy catalogue" || e.Line == 0 {
				t.Errorf("error %#v does not tell document and line", err)
			}
		})
	}
}

// oneOperation builds a catalogue with one operation, or with more of them behind it.
func oneOperation(t *testing.T, entry, more string) (*Policy, error) {
	t.Helper()
	return build([]byte("version: \"1\"\noperations:\n  - {id: a, purpose: A, datacenter: {"+entry+"}}\n"+more), nil)
}

func checkProblem(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestPathsOfTheCatalogue(t *testing.T) {
	for path, want := range map[string]string{
		"/rest/api/2":                                 "",
		"/rest/api/2/":                                `the segment ""`,
		"/rest/api/2/a/b/c/d/e/f/g":                   "", // ten segments
		"/rest/api/2/a/b/c/d/e/f/g/h":                 "longer than 10 segments",
		"/rest/api/2/{projectIdOrKey}/{issueIdOrKey}": "",
		"/rest/api/2/{projectIdOrKey}/{projectIdOrKey}/{issueIdOrKey}": "more than 2 parameters",
		"/rest/api/2/{}":       `the segment "{}"`,
		"/rest/api/2/{a}":      "{a} has no grammar",
		"/rest/api/2/{project": `the segment "{project"`,
		"/rest/api/2/project}": `the segment "project}"`,
	} {
		t.Run(path, func(t *testing.T) {
			p, err := oneOperation(t, "method: GET, projects: none, path: "+strconv.Quote(path), "")
			checkProblem(t, err, want)
			if err == nil && p.dataCenter.prefix != "/rest/api/2" {
				t.Errorf("the operation is in no table")
			}
		})
	}
	for b := '!'; b <= '~'; b++ {
		_, err := oneOperation(t, "method: GET, projects: none, path: "+strconv.Quote("/rest/api/2/"+string(b)), "")
		if (err == nil) != ('a' <= b && b <= 'z') {
			t.Errorf("the literal %q: %v", b, err)
		}
	}
}

func TestEntriesOfTheCatalogue(t *testing.T) {
	const path = "path: /rest/api/2/a, "
	parameters := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("{name: p%d}", i))
		}
		return "query: [" + strings.Join(names, ", ") + "]"
	}
	for _, tt := range []struct{ name, entry, more, want string }{
		{"64 parameters", path + "method: GET, projects: none, " + parameters(64), "", ""},
		{"65 parameters", path + "method: GET, projects: none, " + parameters(65), "", "more than 64 query parameters"},
		{"a parameter said to be text", path + "method: GET, projects: none, query: [{name: p, type: text}]", "", ""},
		{"a value with a comma", path + `method: GET, projects: none, query: [{name: p, type: list, values: ["a,b"]}]`, "", "cannot contain a comma"},
		{"a condition on no parameter", path + "method: GET, projects: none, when: {parameter: q, contains: x}", "", "its condition q=x is not"},
		{"a condition on a choice", path + "method: GET, projects: none, when: {parameter: q, contains: x}, query: [{name: q, type: choice, values: [x]}]", "", "its condition q=x is not"},
		{"a condition without another operation", path + "method: GET, projects: none, when: {parameter: q, contains: x}, query: [{name: q, type: list, values: [x]}]", "", "GET /rest/api/2/a has only conditional operations"},
		{"projects in a query without any", path + "method: GET, projects: query, query: [{name: p}]", "", "nothing in its query names a project"},
		{"projects in a body without one", path + "method: GET, projects: body", "", "nothing in its body names a project"},
		{"another method", path + "method: GET, projects: none", "  - {id: b, purpose: B, datacenter: {" + path + "method: DELETE, projects: none}}\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := oneOperation(t, tt.entry, tt.more)
			checkProblem(t, err, tt.want)
		})
	}
}

func TestParseEdition(t *testing.T) {
	for _, e := range []Edition{Cloud, DataCenter} {
		if got, err := ParseEdition(string(e)); got != e || err != nil {
			t.Errorf("ParseEdition(%q) = %q, %v", e, got, err)
		}
	}
	for _, s := range []string{"", "Cloud", "server", "cloud "} {
		want := fmt.Sprintf(`edition %q is unknown: use "cloud" or "datacenter"`, s)
		if got, err := ParseEdition(s); err == nil || err.Error() != want || got != "" {
			t.Errorf("ParseEdition(%q) = %q, %v; want the error %s", s, got, err, want)
		}
	}
}

func TestCodesListsEveryCode(t *testing.T) {
	want := []Code{
		CodePathMalformed, CodeOperationNotDocumented, CodeMethodNotDocumented, CodeParameterMalformed, CodeQueryMalformed, CodeQueryNotDocumented,
		CodeOperationSwitchedOff, CodeProjectNotAllowed, CodeBodyRequired, CodeBodyTooLarge, CodeContentTypeNotAllowed, CodeBodyMalformed, CodeBodyNotAllowed,
	}
	var got []Code
	for _, c := range Codes() {
		if c.Meaning == "" || strings.Contains(c.Meaning, "\n") {
			t.Errorf("%s: meaning %q", c.Code, c.Meaning)
		}
		got = append(got, c.Code)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func mustNew(t interface {
	Helper()
	Fatalf(string, ...any)
}, rules []byte) *Policy {
	t.Helper()
	p, err := New(rules)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}
