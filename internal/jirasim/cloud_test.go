package jirasim_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"jiragate/internal/jirasim"
)

func TestCloudDocumentedOperationsAnswer(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := bearer(sim.IssueGrant().AccessToken)
	for _, row := range []struct {
		target string
		path   []any // into the JSON
		want   any
	}{
		{"/rest/api/3/myself", []any{"displayName"}, "Jira Bot"},
		{"/rest/api/3/myself?expand=groups", []any{"groups", "items", 0, "name"}, "jira-software-users"},
		{"/rest/api/3/project/search", []any{"values", 0, "key"}, "ACME"},
		{"/rest/api/3/project/ACME", []any{"id"}, "10000"},
		{"/rest/api/3/project/10002?expand=issueTypes", []any{"issueTypes", 4, "name"}, "Bug"},
		{"/rest/api/3/project/WEB_SHOP/components", []any{0, "name"}, "Checkout"},
		{"/rest/api/3/issue/createmeta?projectKeys=ACME&issuetypeNames=Bug&expand=projects.issuetypes.fields",
			[]any{"projects", 0, "issuetypes", 0, "fields", "customfield_10010", "required"}, true},
		{"/rest/api/3/issue/createmeta?projectIds=10001", []any{"projects", 0, "key"}, "OPS"},
		{"/rest/api/3/issue/createmeta/ACME/issuetypes", []any{"issueTypes", 1, "name"}, "Story"},
		{"/rest/api/3/issue/createmeta/10000/issuetypes/10004?startAt=6&maxResults=1", []any{"fields", 0, "allowedValues", 0, "name"}, "Highest"},
		{"/rest/api/3/user/picker?query=mi", []any{"users", 0, "html"}, "<strong>Mi</strong>a Krystof - <strong>mi</strong>a@acme.example"},
		{"/rest/api/3/user/assignable/search?project=ACME&query=gr%C3%BC", []any{0, "displayName"}, "Lukas Grün"},
		{"/rest/api/3/user/assignable/search?issueKey=ACME-1", []any{0, "accountType"}, "atlassian"},
		{"/rest/api/3/priority", []any{2, "name"}, "Medium"},
	} {
		t.Run(row.target, func(t *testing.T) {
			a := call(t, client, "GET", cloudURL(sim, row.target), "", token)
			wantStatus(t, a, 200)
			if got := a.json(t, row.path...); got != row.want {
				t.Errorf("%v = %v, want %v", row.path, got, row.want)
			}
			if strings.Contains(a.body, "127.0.0.1") || strings.Contains(a.body, "api.atlassian.com") {
				t.Error("a link does not carry the site's host")
			}
			if got := a.header.Get("Content-Type"); got != "application/json;charset=UTF-8" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func TestCloudRefusals(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	whole := sim.IssueGrant().AccessToken
	reader := sim.IssueGrant("read:jira-work").AccessToken
	const other = "/ex/jira/00000000-0000-4000-8000-000000000000/rest/api/3/myself"
	for _, row := range []struct {
		name   string
		method string
		target string
		edit   edit
		status int
		body   string // part of it
	}{
		{"no credential", "GET", "", func(*http.Request) {}, 401, `{"code":401,"message":"Unauthorized"}`},
		{"basic auth", "GET", "", basic("jira-bot", "x"), 401, `"Unauthorized"`},
		{"unknown token", "GET", "", bearer("wrong"), 401, `"Unauthorized"`},
		{"missing scope", "GET", "", bearer(reader), 401, "Unauthorized; scope does not match"},
		{"missing scope for writing", "DELETE", "/rest/api/3/issue/ACME-1", bearer(reader), 401, "scope does not match"},
		{"another site", "GET", "!" + other, bearer(whole), 404, `"Not Found"`},
		{"unknown path", "GET", "/rest/api/3/nothing", bearer(whole), 404, "null for uri"},
		{"unknown version", "GET", "/rest/api/4/myself", bearer(whole), 404, "null for uri"},
		{"wrong method", "POST", "/rest/api/3/myself", bearer(whole), 405, "Method Not Allowed"},
		{"unknown project", "GET", "/rest/api/3/project/NOPE", bearer(whole), 404, `{"errorMessages":["No project could be found with key 'NOPE'."],"errors":{}}`},
		{"key in lower case", "GET", "/rest/api/3/project/acme", bearer(whole), 404, "No project"},
		{"priority search needs more scope", "GET", "/rest/api/3/priority/search", bearer(whole), 401, "scope does not match"},
		{"picker without query", "GET", "/rest/api/3/user/picker", bearer(whole), 400, "query"},
		{"picker with both exclusions", "GET", "/rest/api/3/user/picker?query=a&exclude=b&excludeAccountIds=c", bearer(whole), 400, "cannot be used together"},
		{"assignable to nothing", "GET", "/rest/api/3/user/assignable/search?query=a", bearer(whole), 400, "must be provided"},
		{"assignable in no project", "GET", "/rest/api/3/user/assignable/search?project=NOPE", bearer(whole), 404, "No project"},
		{"create meta of a project one may not create in", "GET", "/rest/api/3/issue/createmeta/LEGAL/issuetypes", bearer(whole), 400, "permission"},
		{"too large a page", "GET", "/rest/api/3/issue/createmeta/ACME/issuetypes?maxResults=201", bearer(whole), 400, "must not exceed the limit '200'"},
		{"page that is not a number", "GET", "/rest/api/3/project/search?startAt=x", bearer(whole), 400, "startAt"},
		{"order that is none", "GET", "/rest/api/3/project/search?orderBy=colour", bearer(whole), 400, "order by"},
		{"unknown issue type", "GET", "/rest/api/3/issue/createmeta/ACME/issuetypes/99", bearer(whole), 400, "does not exist"},
		{"components of no project", "GET", "/rest/api/3/project/99999/components", bearer(whole), 404, "with id '99999'"},
		{"assignable to no issue", "GET", "/rest/api/3/user/assignable/search?issueKey=ACME-99", bearer(whole), 404, "Issue does not exist"},
		{"encoded slash", "GET", "/rest/api/3/project%2FACME", bearer(whole), 400, "400"},
	} {
		t.Run(row.name, func(t *testing.T) {
			target, elsewhere := strings.CutPrefix(row.target, "!")
			u := sim.APIURL() + target
			if !elsewhere {
				u = cloudURL(sim, row.target)
				if row.target == "" {
					u += "/rest/api/3/myself"
				}
			}
			a := call(t, client, row.method, u, "", row.edit)
			wantStatus(t, a, row.status)
			if !strings.Contains(a.body, row.body) {
				t.Errorf("body %s, want %s in it", a.body, row.body)
			}
		})
	}
}

func TestBadIDsInCreateMetaAreNoError(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	a := call(t, client, "GET", cloudURL(sim, "/rest/api/3/issue/createmeta?projectIds=99999"), "", bearer(sim.IssueGrant().AccessToken))
	wantStatus(t, a, 200)
	if a.body != `{"expand":"projects","projects":[]}` {
		t.Errorf("body %s", a.body)
	}
}

// What a gateway must not let through is there to be had.
func TestCloudServesWhatIsNotDocumented(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := bearer(sim.IssueGrant().AccessToken)
	for _, target := range []string{
		"GET /rest/api/3/search/jql?jql=project=ACME",
		"POST /rest/api/3/search/jql",
		"GET /rest/api/3/issue/ACME-1",
		"GET /rest/api/3/issue/10100",
		"GET /rest/api/3/serverInfo",
		"GET /rest/api/3/users/search",
		"GET /rest/api/3/user/search?query=a",
		"GET /rest/api/3/mypermissions",
		"GET /rest/api/3/project",
		"GET /rest/api/3/project/type",
		"GET /rest/api/3/project/recent",
		"GET /rest/api/2/myself",
		"GET /rest/api/latest/myself",
		"GET /rest/auth/1/session",
		"GET /rest/agile/1.0/board",
		"GET /rest/api/3/issuetype",
		"GET /rest/api/3/myself;jsessionid=1",
		"GET /rest/api/3/project/..;/serverInfo",
		"GET //rest//api/3/./myself",
		"HEAD /rest/api/3/myself",
	} {
		method, path, _ := strings.Cut(target, " ")
		if a := call(t, client, method, cloudURL(sim, path), "", token); a.status != 200 || (a.body == "") != (method == "HEAD") {
			t.Errorf("%s answers %d %q, want 200 with data", target, a.status, a.body)
		}
	}
	for _, path := range []string{"/rest/api/3/issue/ACME-1", "/rest/api/3/project/ACME"} {
		wantStatus(t, call(t, client, "PUT", cloudURL(sim, path), `{}`, token), 204)
	}
	wantStatus(t, call(t, client, "GET", cloudURL(sim, "/rest/api/3/search"), "", token), 410)
	a := call(t, client, "POST", cloudURL(sim, "/rest/api/3/issue/OPS-1"), "", token, header("X-HTTP-Method-Override", "DELETE"))
	wantStatus(t, a, 204)
	if sim.HasIssue(jirasim.CloudAPI, "OPS-1") {
		t.Error("the method override was not honoured")
	}
}

func TestProjectSearchFiltersAndOrders(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := bearer(sim.IssueGrant().AccessToken)
	for query, want := range map[string]string{
		"":                              "ACME LEGAL OPS R2D2 WEB_SHOP",
		"orderBy=-key":                  "WEB_SHOP R2D2 OPS LEGAL ACME",
		"orderBy=%2Bname":               "ACME LEGAL OPS R2D2 WEB_SHOP",
		"orderBy=-name&maxResults=1":    "WEB_SHOP",
		"query=OPS":                     "OPS",
		"query=shop":                    "WEB_SHOP",
		"query=o":                       "ACME OPS R2D2 WEB_SHOP",
		"keys=ACME&keys=OPS":            "ACME OPS",
		"keys=ACME,OPS":                 "ACME OPS",
		"id=10001&id=10004":             "OPS R2D2",
		"typeKey=business":              "LEGAL R2D2",
		"action=create":                 "ACME OPS R2D2 WEB_SHOP",
		"status=archived":               "OLD",
		"status=live&status=archived":   "ACME LEGAL OLD OPS R2D2 WEB_SHOP",
		"keys=NOPE":                     "",
		"startAt=100":                   "",
		"startAt=3&maxResults=1":        "R2D2",
		"startAt=9223372036854775807":   "",
		"maxResults=922337203685477580": "ACME LEGAL OPS R2D2 WEB_SHOP",
	} {
		a := call(t, client, "GET", cloudURL(sim, "/rest/api/3/project/search?"+query), "", token)
		wantStatus(t, a, 200)
		var keys []string
		for i := range a.json(t, "values").([]any) {
			keys = append(keys, a.json(t, "values", i, "key").(string))
		}
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestFollowingNextPageVisitsEveryProjectOnce(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := bearer(sim.IssueGrant().AccessToken)
	var keys []string
	next := sim.SiteURL() + "/rest/api/3/project/search?maxResults=2&orderBy=-key&status=live&status=archived"
	for range 10 {
		u, err := url.Parse(next)
		if err != nil || u.Scheme+"://"+u.Host != sim.SiteURL() {
			t.Fatalf("nextPage %q does not lead to the site", next)
		}
		a := call(t, client, "GET", cloudURL(sim, u.RequestURI()), "", token)
		wantStatus(t, a, 200)
		for i := range a.json(t, "values").([]any) {
			keys = append(keys, a.json(t, "values", i, "key").(string))
		}
		if a.json(t, "total") != 6.0 {
			t.Errorf("total %v", a.json(t, "total"))
		}
		link, more := a.json(t, "nextPage").(string)
		if more == a.json(t, "isLast").(bool) {
			t.Errorf("isLast %v with nextPage %q", !more, link)
		}
		if !more {
			break
		}
		next = link
	}
	if want := []string{"WEB_SHOP", "R2D2", "OPS", "OLD", "LEGAL", "ACME"}; !slices.Equal(keys, want) {
		t.Errorf("visited %v, want %v", keys, want)
	}
}

func TestPickerEscapesNames(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	a := call(t, client, "GET", cloudURL(sim, "/rest/api/3/user/picker?query=o'b"), "", bearer(sim.IssueGrant().AccessToken))
	wantStatus(t, a, 200)
	if got := a.json(t, "users", 0, "html"); got != "Siobhán <strong>O&#39;B</strong>rien &lt;QA&gt; - siobhan@acme.example" {
		t.Errorf("html %v", got)
	}
	if got := a.json(t, "header"); got != "Showing 1 of 1 matching users" {
		t.Errorf("header %v", got)
	}
}

func TestTheOtherSiteOfTheGrantAnswersToo(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	a := call(t, client, "GET", sim.APIURL()+"/ex/jira/"+jirasim.SandboxCloudID+"/rest/api/3/myself", "", bearer(sim.IssueGrant().AccessToken))
	wantStatus(t, a, 200)
	if self := a.json(t, "self").(string); !strings.HasPrefix(self, jirasim.SandboxSiteURL) {
		t.Errorf("self %q", self)
	}
}
