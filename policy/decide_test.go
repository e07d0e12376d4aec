package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Calls as real clients make them, each of the 22 documented ones at least once.
var realistic = []struct {
	edition      Edition
	method, path string
	query        string
	id           string
	rebuiltQuery string // "=": as sent
}{
	{Cloud, "GET", "/rest/api/3/myself", "", "myself.get", "="},
	{Cloud, "GET", "/rest/api/3/myself", "expand=groups,applicationRoles", "myself.get", "expand=groups%2CapplicationRoles"},
	{Cloud, "GET", "/rest/api/3/project/search", "", "project.list", "="},
	{Cloud, "GET", "/rest/api/3/project/search", "startAt=0&maxResults=50&orderBy=name&expand=lead&expand=url", "project.list", "="},
	{Cloud, "GET", "/rest/api/3/project/search", "orderBy=+name", "project.list", "="},
	{Cloud, "GET", "/rest/api/3/project/search", "orderBy=%2Bname&query=Gr%C3%BC%C3%9Fe%20%26%20more%3B", "project.list", "orderBy=%2Bname&query=Gr%C3%BC%C3%9Fe+%26+more%3B"},
	{Cloud, "GET", "/rest/api/3/project/search", "keys=ACME&keys=OPS&id=10000&status=live,archived&action=browse", "project.list", "keys=ACME&keys=OPS&id=10000&status=live%2Carchived&action=browse"},
	{Cloud, "GET", "/rest/api/3/project/search", "properties=p&propertyQuery=[p].nested=1&typeKey=software,business&categoryId=10001", "project.list", "properties=p&propertyQuery=%5Bp%5D.nested%3D1&typeKey=software%2Cbusiness&categoryId=10001"},
	{Cloud, "GET", "/rest/api/3/project/ACME", "", "project.get", "="},
	{Cloud, "GET", "/rest/api/3/project/10000", "properties=a&properties=b", "project.get", "="},
	{Cloud, "GET", "/rest/api/3/project/A1_2", "expand=lead", "project.get", "="},
	{Cloud, "GET", "/rest/api/3/project/ACME", "expand=issueTypes", "issuetype.list", "="},
	{Cloud, "GET", "/rest/api/3/project/ACME", "expand=lead,issueTypes", "issuetype.list", "expand=lead%2CissueTypes"},
	{Cloud, "GET", "/rest/api/3/project/ACME", "expand=lead&expand=issueTypes", "issuetype.list", "="},
	{Cloud, "GET", "/rest/api/3/project/ACME", "expand=issueTypes&properties=a", "project.get", "="},
	{Cloud, "GET", "/rest/api/3/project/ACME", "expand=issueTypeHierarchy", "project.get", "="},
	{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectKeys=ACME&issuetypeIds=10001&expand=projects.issuetypes.fields", "field.list", "="},
	{Cloud, "GET", "/rest/api/3/issue/createmeta", "projectIds=10000,10001&issuetypeNames=Bug&issuetypeNames=Sub-task", "field.list", "projectIds=10000%2C10001&issuetypeNames=Bug&issuetypeNames=Sub-task"},
	{Cloud, "GET", "/rest/api/3/project/ACME/components", "componentSource=auto", "component.list", "="},
	{Cloud, "GET", "/rest/api/3/user/picker", "query=jo&maxResults=20&showAvatar=True&avatarSize=xsmall&excludeAccountIds=5b10a2844c20165700ede21g&exclude=a", "user.picker", "="},
	{Cloud, "GET", "/rest/api/3/user/picker", "query=", "user.picker", "="},
	{Cloud, "GET", "/rest/api/3/user/assignable/search", "project=ACME&query=jo&recommend=true", "user.assignable", "="},
	{Cloud, "GET", "/rest/api/3/user/assignable/search", "issueKey=ACME-1&accountId=712020%3A0e99&startAt=0", "user.assignable", "="},
	{Cloud, "GET", "/rest/api/3/priority", "", "priority.list", "="},
	{Cloud, "POST", "/rest/api/3/issue", "updateHistory=false", "issue.create", "="},
	{Cloud, "DELETE", "/rest/api/3/issue/ACME-12", "deleteSubtasks=true", "issue.delete", "="},
	{Cloud, "DELETE", "/rest/api/3/issue/10012", "", "issue.delete", "="},
	{DataCenter, "GET", "/rest/api/2/myself", "", "myself.get", "="},
	{DataCenter, "GET", "/rest/api/2/project", "expand=description,lead,url,projectKeys&recent=5&includeArchived=false&browseArchive=False", "project.list", "expand=description%2Clead%2Curl%2CprojectKeys&recent=5&includeArchived=false&browseArchive=False"},
	{DataCenter, "GET", "/rest/api/2/project/ACME", "expand=projectKeys", "project.get", "="},
	{DataCenter, "GET", "/rest/api/2/issue/createmeta/ACME/issuetypes", "startAt=0&maxResults=-1", "issuetype.list", "="},
	{DataCenter, "GET", "/rest/api/2/issue/createmeta/10000/issuetypes/10001", "maxResults=200", "field.list", "="},
	{DataCenter, "GET", "/rest/api/2/project/ACME/components", "", "component.list", "="},
	{DataCenter, "GET", "/rest/api/2/user/picker", "query=j.doe%40example.com&exclude=a&exclude=b", "user.picker", "="},
	{DataCenter, "GET", "/rest/api/2/user/assignable/search", "username=j&project=ACME&startAt=0&maxResults=100&actionDescriptorId=4", "user.assignable", "="},
	{DataCenter, "GET", "/rest/api/2/user/assignable/search", "issueKey=ACME-7", "user.assignable", "="},
	{DataCenter, "GET", "/rest/api/2/priority", "", "priority.list", "="},
	{DataCenter, "POST", "/rest/api/2/issue", "", "issue.create", "="},
	{DataCenter, "DELETE", "/rest/api/2/issue/ACME-12", "deleteSubtasks=false", "issue.delete", "="},
}

func TestRealisticCallsAreAllowed(t *testing.T) {
	p := Default()
	seen := make(map[string]bool)
	for _, tt := range realistic {
		t.Run(fmt.Sprintf("%s %s?%s", tt.method, tt.path, tt.query), func(t *testing.T) {
			d := p.Decide(Request{Edition: tt.edition, Method: tt.method, Path: tt.path, RawQuery: tt.query})
			if !d.Allowed() || d.Operation.ID != tt.id || d.Operation.Edition != tt.edition {
				t.Fatalf("decision %q (%s), operation %+v; want %s", d.Code, d.Detail, d.Operation, tt.id)
			}
			if d.Path() != tt.path {
				t.Errorf("rebuilt path %q, want %q", d.Path(), tt.path)
			}
			want := tt.rebuiltQuery
			if want == "=" {
				want = tt.query
			}
			if d.RawQuery() != want {
				t.Errorf("rebuilt query %q, want %q", d.RawQuery(), want)
			}
			if d.Detail != "" || d.Rule != "" || d.Reported != nil || d.Allow != nil {
				t.Errorf("an allowed call has reasons: %+v", d)
			}
			seen[string(tt.edition)+" "+tt.id] = true
		})
	}
	if len(seen) != 22 {
		t.Errorf("the table calls %d of the 22 documented operations", len(seen))
	}
}

func TestPathParametersAreDecodedOnce(t *testing.T) {
	p := Default()
	for path, want := range map[string]string{
		"/rest/api/3/project/%41CME":            "/rest/api/3/project/ACME",
		"/rest/api/3/project/%41%43%4d%4D":      "/rest/api/3/project/ACMM",
		"/rest/api/3/project/%31%30/components": "/rest/api/3/project/10/components",
		"/rest/api/3/project/A%5FB":             "/rest/api/3/project/A_B",
	} {
		d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: path})
		if !d.Allowed() || d.Path() != want {
			t.Errorf("%s: %q %s, rebuilt %q; want %q", path, d.Code, d.Detail, d.Path(), want)
		}
	}
}

func TestDecisionAccessors(t *testing.T) {
	p := Default()
	d := p.Decide(Request{Edition: DataCenter, Method: "GET", Path: "/rest/api/2/issue/createmeta/ACME/issuetypes/10001", RawQuery: "maxResults=1&startAt=2"})
	if got := d.Param("projectIdOrKey") + " " + d.Param("issueTypeId") + " " + d.Param("issueIdOrKey"); got != "ACME 10001 " {
		t.Errorf("parameters are %q", got)
	}
	d = p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/search", RawQuery: "keys=A&expand=url&keys=B&expand=lead"})
	if got := d.QueryNames(); !slices.Equal(got, []string{"keys", "expand"}) {
		t.Errorf("query names are %v", got)
	}
	d = p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: "nonsense=1"})
	if d.Allowed() || d.Path() != "/rest/api/3/project/ACME" || d.Param("projectIdOrKey") != "ACME" || d.Operation.ID != "project.get" {
		t.Errorf("a refused query should leave operation and canonical path for the record: %+v", d)
	}
	if d.RawQuery() != "" || d.QueryNames() != nil {
		t.Errorf("a refused query is rebuilt: %q %v", d.RawQuery(), d.QueryNames())
	}
}

func TestZeroDecisionAllowsNothing(t *testing.T) {
	var d Decision
	if d.Allowed() || d.Path() != "" || d.RawQuery() != "" || d.Param("projectIdOrKey") != "" || d.QueryNames() != nil {
		t.Errorf("the zero decision: %+v", d)
	}
	if body, got := Default().DecideBody(d, Request{}, "application/json", []byte(`{"fields":{}}`)); body != nil || got.Allowed() || got.Code == "" {
		t.Errorf("the body of the zero decision: %q, %+v", body, got)
	}
}

var hostilePaths = []struct {
	name         string
	edition      Edition
	method, path string
	code         Code
}{
	// P1: dot segments and empty segments, raw and encoded.
	{"dot dot", Cloud, "GET", "/rest/api/3/project/../myself", CodePathMalformed},
	{"dot", Cloud, "GET", "/rest/api/3/./myself", CodePathMalformed},
	{"encoded dot dot", Cloud, "GET", "/rest/api/3/project/%2e%2e/myself", CodePathMalformed},
	{"half encoded dot dot", Cloud, "GET", "/rest/api/3/project/.%2E/myself", CodePathMalformed},
	{"encoded dot", Cloud, "GET", "/rest/api/3/%2e/myself", CodePathMalformed},
	{"dot dot as identifier", Cloud, "GET", "/rest/api/3/project/..", CodePathMalformed},
	{"two slashes", Cloud, "GET", "/rest/api/3//myself", CodePathMalformed},
	{"two slashes in front", Cloud, "GET", "//rest/api/3/myself", CodePathMalformed},
	{"slash at the end", Cloud, "GET", "/rest/api/3/myself/", CodePathMalformed},
	{"only a slash", Cloud, "GET", "/", CodePathMalformed},
	{"empty", Cloud, "GET", "", CodePathMalformed},
	{"no slash in front", Cloud, "GET", "rest/api/3/myself", CodePathMalformed},
	{"asterisk", Cloud, "OPTIONS", "*", CodePathMalformed},
	{"absolute URL", Cloud, "GET", "https://evil.example/rest/api/3/myself", CodePathMalformed},
	// P2: encoded separators, double encoding.
	{"encoded slash", Cloud, "GET", "/rest/api/3/project/ACME%2fcomponents", CodePathMalformed},
	{"encoded slash in a literal", Cloud, "GET", "/rest/api/3%2Fmyself", CodePathMalformed},
	{"backslash", Cloud, "GET", `/rest/api/3/project\ACME`, CodePathMalformed},
	{"encoded backslash", Cloud, "GET", "/rest/api/3/project/%5cACME", CodePathMalformed},
	{"double encoding", Cloud, "GET", "/rest/api/3/project/%2541CME", CodePathMalformed},
	{"double encoded slash", Cloud, "GET", "/rest/api/3/project/ACME%252Fcomponents", CodePathMalformed},
	{"bad escape", Cloud, "GET", "/rest/api/3/project/%4", CodePathMalformed},
	{"bad escape digits", Cloud, "GET", "/rest/api/3/project/%zzCME", CodePathMalformed},
	{"percent at the end", Cloud, "GET", "/rest/api/3/project/ACME%", CodePathMalformed},
	{"percent u", Cloud, "GET", "/rest/api/3/project/%u0041CME", CodePathMalformed},
	// P3: path parameters, which Tomcat drops.
	{"session id", DataCenter, "GET", "/rest/api/2/myself;jsessionid=1", CodePathMalformed},
	{"path parameter inside", DataCenter, "GET", "/rest/api/2;x=y/myself", CodePathMalformed},
	{"dot dot semicolon", DataCenter, "GET", "/rest/api/2/project/..;/myself", CodePathMalformed},
	{"semicolon alone", DataCenter, "GET", "/rest/api/2/project/ACME;", CodePathMalformed},
	{"encoded semicolon", DataCenter, "GET", "/rest/api/2/project/ACME%3Bx", CodePathMalformed},
	// P4: other resources, other versions, the other edition.
	{"project types", DataCenter, "GET", "/rest/api/2/project/type", CodeParameterMalformed},
	{"recent projects", Cloud, "GET", "/rest/api/3/project/recent", CodeParameterMalformed},
	{"project search on Data Center", DataCenter, "GET", "/rest/api/2/project/search", CodeParameterMalformed},
	{"all projects on Cloud", Cloud, "GET", "/rest/api/3/project", CodeOperationNotDocumented},
	{"bare createmeta on Data Center", DataCenter, "GET", "/rest/api/2/issue/createmeta", CodeOperationNotDocumented},
	{"paged components", Cloud, "GET", "/rest/api/3/project/ACME/component", CodeOperationNotDocumented},
	{"paged priorities", DataCenter, "GET", "/rest/api/2/priority/page", CodeOperationNotDocumented},
	{"searched priorities", Cloud, "GET", "/rest/api/3/priority/search", CodeOperationNotDocumented},
	{"latest", Cloud, "GET", "/rest/api/latest/myself", CodeOperationNotDocumented},
	{"latest on Data Center", DataCenter, "GET", "/rest/api/latest/project/ACME", CodeOperationNotDocumented},
	{"version 2 on Cloud", Cloud, "GET", "/rest/api/2/myself", CodeOperationNotDocumented},
	{"version 3 on Data Center", DataCenter, "GET", "/rest/api/3/myself", CodeOperationNotDocumented},
	{"version 2.0.alpha1", DataCenter, "GET", "/rest/api/2.0.alpha1/myself", CodeOperationNotDocumented},
	{"version with zero", DataCenter, "GET", "/rest/api/02/myself", CodeOperationNotDocumented},
	{"no version", DataCenter, "GET", "/rest/api", CodeOperationNotDocumented},
	{"one segment", DataCenter, "GET", "/rest", CodeOperationNotDocumented},
	{"another API", DataCenter, "GET", "/rest/agile/1.0/board", CodeOperationNotDocumented},
	{"another product", Cloud, "GET", "/ex/confluence/x/rest/api/3/myself", CodeOperationNotDocumented},
	{"accessible resources", Cloud, "GET", "/oauth/token/accessible-resources", CodeOperationNotDocumented},
	{"search for issues", Cloud, "GET", "/rest/api/3/search", CodeOperationNotDocumented},
	{"attachments of an issue", Cloud, "POST", "/rest/api/3/issue/ACME-1/attachments", CodeOperationNotDocumented},
	{"bulk create", Cloud, "POST", "/rest/api/3/issue/bulk", CodeOperationNotDocumented},
	{"more segments than any template", Cloud, "GET", "/rest/api/3/myself" + strings.Repeat("/x", 40), CodeOperationNotDocumented},
	{"a segment more", Cloud, "GET", "/rest/api/3/myself/x", CodeOperationNotDocumented},
	{"an encoded literal", Cloud, "GET", "/rest/api/3/%6dyself", CodeOperationNotDocumented},
	{"an encoded literal where a key may be", Cloud, "GET", "/rest/api/3/project/%73earch", CodeParameterMalformed},
	{"upper case literal", Cloud, "GET", "/REST/api/3/myself", CodeOperationNotDocumented},
	// P6: control, non-ASCII, overlong.
	{"NUL", Cloud, "GET", "/rest/api/3/project/ACME%00", CodePathMalformed},
	{"CR LF", Cloud, "GET", "/rest/api/3/project/ACME%0d%0aX:%20y", CodePathMalformed},
	{"raw line feed", Cloud, "GET", "/rest/api/3/myself\n", CodePathMalformed},
	{"raw NUL", Cloud, "GET", "/rest/api/3/myself\x00", CodePathMalformed},
	{"DEL", Cloud, "GET", "/rest/api/3/project/ACME%7f", CodePathMalformed},
	{"overlong slash", Cloud, "GET", "/rest/api/3/project/ACME%c0%af", CodePathMalformed},
	{"full-width letter", Cloud, "GET", "/rest/api/3/project/%EF%BC%A1CME", CodePathMalformed},
	{"raw full-width letter", Cloud, "GET", "/rest/api/3/project/\uff21CME", CodePathMalformed},
	{"bidi override", Cloud, "GET", "/rest/api/3/project/A%E2%80%AECME", CodePathMalformed},
	{"raw space", Cloud, "GET", "/rest/api/3/project/AC ME", CodePathMalformed},
	{"encoded space", Cloud, "GET", "/rest/api/3/project/ACME%20", CodeParameterMalformed},
	{"plus", Cloud, "GET", "/rest/api/3/project/AC+ME", CodeParameterMalformed},
	{"query in the path", Cloud, "GET", "/rest/api/3/myself?expand=groups", CodePathMalformed},
	{"encoded query in the path", Cloud, "GET", "/rest/api/3/project/ACME%3Fexpand=lead", CodePathMalformed},
	{"fragment", Cloud, "GET", "/rest/api/3/myself#x", CodePathMalformed},
	{"encoded fragment", Cloud, "GET", "/rest/api/3/project/ACME%23", CodePathMalformed},
	{"too long", Cloud, "GET", "/" + strings.Repeat("a", MaxPath), CodePathMalformed},
	// Identifiers outside their grammar.
	{"lower case key", Cloud, "GET", "/rest/api/3/project/acme", CodeParameterMalformed},
	{"key of one letter", Cloud, "GET", "/rest/api/3/project/A", CodeParameterMalformed},
	{"key of 256 letters", Cloud, "GET", "/rest/api/3/project/" + strings.Repeat("A", 256), CodeParameterMalformed},
	{"key with underscore first", Cloud, "GET", "/rest/api/3/project/_ACME", CodeParameterMalformed},
	{"key with a hyphen", Cloud, "GET", "/rest/api/3/project/ACME-X", CodeParameterMalformed},
	{"key with a dot", Cloud, "GET", "/rest/api/3/project/ACME.json", CodeParameterMalformed},
	{"id with a leading zero", Cloud, "GET", "/rest/api/3/project/010", CodeParameterMalformed},
	{"id zero", Cloud, "GET", "/rest/api/3/project/0", CodeParameterMalformed},
	{"id with a sign", Cloud, "GET", "/rest/api/3/project/-1", CodeParameterMalformed},
	{"id over 64 bits", Cloud, "GET", "/rest/api/3/project/9223372036854775808", CodeParameterMalformed},
	{"hexadecimal id", Cloud, "GET", "/rest/api/3/project/0x10", CodeParameterMalformed},
	{"issue key without number", Cloud, "DELETE", "/rest/api/3/issue/ACME-", CodeParameterMalformed},
	{"issue number with a leading zero", Cloud, "DELETE", "/rest/api/3/issue/ACME-01", CodeParameterMalformed},
	{"issue key with two hyphens", Cloud, "DELETE", "/rest/api/3/issue/ACME-1-2", CodeParameterMalformed},
	{"lower case issue key", Cloud, "DELETE", "/rest/api/3/issue/acme-1", CodeParameterMalformed},
	{"project key for an issue", Cloud, "DELETE", "/rest/api/3/issue/ACME", CodeParameterMalformed},
	{"issue key for a project", Cloud, "GET", "/rest/api/3/project/ACME-1", CodeParameterMalformed},
	{"issue type by name", DataCenter, "GET", "/rest/api/2/issue/createmeta/ACME/issuetypes/Bug", CodeParameterMalformed},
	{"delete createmeta", DataCenter, "DELETE", "/rest/api/2/issue/createmeta", CodeParameterMalformed},
	// Successors that nobody switched on.
	{"successor", Cloud, "GET", "/rest/api/3/issue/createmeta/ACME/issuetypes", CodeOperationSwitchedOff},
	{"successor for fields", Cloud, "GET", "/rest/api/3/issue/createmeta/ACME/issuetypes/10001", CodeOperationSwitchedOff},
	{"unknown edition", "server", "GET", "/rest/api/2/myself", CodeOperationNotDocumented},
	{"no edition", "", "GET", "/rest/api/2/myself", CodeOperationNotDocumented},
}

func TestHostilePathsAreRefused(t *testing.T) {
	p := Default()
	for _, tt := range hostilePaths {
		t.Run(tt.name, func(t *testing.T) {
			d := p.Decide(Request{Edition: tt.edition, Method: tt.method, Path: tt.path})
			checkDenial(t, d, tt.code)
		})
	}
}

func TestOnlyTheDocumentedMethods(t *testing.T) {
	p := Default()
	for _, tt := range []struct {
		edition Edition
		path    string
		allow   string
		refused []string
	}{
		{Cloud, "/rest/api/3/myself", "GET", []string{"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "Get", "GET ", "", "CONNECT", "M\u00d6VE\r\n"}},
		{Cloud, "/rest/api/3/issue", "POST", []string{"GET", "PUT", "post"}},
		{Cloud, "/rest/api/3/issue/ACME-1", "DELETE", []string{"GET", "PUT", "delete"}},
		{Cloud, "/rest/api/3/issue/createmeta", "GET", []string{"DELETE", "POST"}},
		{Cloud, "/rest/api/3/project/search", "GET", []string{"POST", "DELETE"}},
		{DataCenter, "/rest/api/2/project", "GET", []string{"POST"}},
		{DataCenter, "/rest/api/2/project/ACME", "GET", []string{"PUT", "DELETE"}},
	} {
		for _, method := range tt.refused {
			d := p.Decide(Request{Edition: tt.edition, Method: method, Path: tt.path})
			checkDenial(t, d, CodeMethodNotDocumented)
			if got := strings.Join(d.Allow, ","); got != tt.allow {
				t.Errorf("%s %s: Allow %q, want %q", method, tt.path, got, tt.allow)
			}
			if d.Path() != tt.path {
				t.Errorf("%s %s: canonical path %q", method, tt.path, d.Path())
			}
		}
	}
}

// checkDenial fails unless d is a denial with the code, whose detail is safe to
// show: printable ASCII, bounded, and never empty.
func checkDenial(t *testing.T, d Decision, want Code) {
	t.Helper()
	if d.Allowed() || d.Code != want {
		t.Errorf("code %q (%s), want %q", d.Code, d.Detail, want)
	}
	if d.Detail == "" || len(d.Detail) > 700 {
		t.Errorf("a detail of %d bytes: %s", len(d.Detail), d.Detail)
	}
	if i := strings.IndexFunc(d.Detail, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		t.Errorf("the detail has something other than printable ASCII: %q", d.Detail)
	}
	if !slices.ContainsFunc(Codes(), func(c CodeMeaning) bool { return c.Code == d.Code }) {
		t.Errorf("the code %q is not listed", d.Code)
	}
}

func TestQuoteIsBoundedASCII(t *testing.T) {
	for s, want := range map[string]string{
		"":                           `""`,
		"plain":                      `"plain"`,
		"a\"b\\c\r\n\x00":            `"a\"b\\c\r\n\x00"`,
		"\u202eevil\xff":             `"\u202eevil\xff"`,
		strings.Repeat("x", 62):      `"` + strings.Repeat("x", 59) + `..."`,
		strings.Repeat("\u202e", 30): `"` + strings.Repeat(`\u202e`, 9) + `..."`,
	} {
		if got := quote(s); got != want || len(got) > maxQuoted {
			t.Errorf("quote(%q) = %s (%d bytes), want %s", s, got, len(got), want)
		}
	}
}

func TestDetailsSayWhatToDo(t *testing.T) {
	p := Default()
	for _, tt := range []struct {
		r    Request
		want string
	}{
		{Request{Edition: Cloud, Method: "GET", Path: "/rest/api/latest/myself"}, `below /rest/api/3 only, and the path is below "/rest/api/latest"`},
		{Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project"}, "GET /rest/api/3/project/search"},
		{Request{Edition: DataCenter, Method: "GET", Path: "/rest/api/2/issue/createmeta"}, "GET /rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes/{issueTypeId}"},
		{Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/acme"}, `"acme" is not a valid projectIdOrKey; write a project key`},
		{Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/issue/createmeta/ACME/issuetypes"}, `successors: [createmeta.issuetypes]`},
		{Request{Edition: Cloud, Method: "HEAD", Path: "/rest/api/3/myself"}, "use GET"},
		{Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/nothing"}, "policy list"},
		{Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/myself", RawQuery: "expand=everything"}, "one or more of groups, applicationRoles"},
		{Request{Edition: DataCenter, Method: "GET", Path: "/rest/api/2/myself", RawQuery: "expand=groups"}, "which takes none"},
		{Request{Edition: "server", Method: "GET", Path: "/rest/api/2/myself"}, `use "cloud" or "datacenter"`},
	} {
		if d := p.Decide(tt.r); !strings.Contains(d.Detail, tt.want) {
			t.Errorf("%s %s: detail %q, want something with %q", tt.r.Method, tt.r.Path, d.Detail, tt.want)
		}
	}
}
