package demo

import "net/http"

// step is one call of the demo and what must come of it.
type step struct {
	edition   string // "cloud" or "datacenter"
	operation string // documented operation, or what is tried
	method    string
	path      string // below SITE or BASE
	body      string
	status    int
	code      string // of a refusal
	header    http.Header
	outsider  bool // with a token that is wrong
}

const (
	createIssue = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"Action item: write the runbook"}}`
	movesIssue  = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"},"transition":{"id":"31"}}`
)

// documented are the operations of the table that customers are given, in its
// order. CREATED stands for the issue that the step before has created.
var documented = []step{
	{edition: "cloud", operation: "myself.get", method: "GET", path: "SITE/rest/api/3/myself", status: 200},
	{edition: "cloud", operation: "project.list", method: "GET", path: "SITE/rest/api/3/project/search?maxResults=50&orderBy=name", status: 200},
	{edition: "cloud", operation: "project.get", method: "GET", path: "SITE/rest/api/3/project/ACME", status: 200},
	{edition: "cloud", operation: "issuetype.list", method: "GET", path: "SITE/rest/api/3/project/ACME?expand=issueTypes", status: 200},
	{edition: "cloud", operation: "field.list", method: "GET", path: "SITE/rest/api/3/issue/createmeta?projectKeys=ACME&expand=projects.issuetypes.fields", status: 200},
	{edition: "cloud", operation: "component.list", method: "GET", path: "SITE/rest/api/3/project/ACME/components", status: 200},
	{edition: "cloud", operation: "user.picker", method: "GET", path: "SITE/rest/api/3/user/picker?query=an", status: 200},
	{edition: "cloud", operation: "user.assignable", method: "GET", path: "SITE/rest/api/3/user/assignable/search?project=ACME", status: 200},
	{edition: "cloud", operation: "priority.list", method: "GET", path: "SITE/rest/api/3/priority", status: 200},
	{edition: "cloud", operation: "issue.create", method: "POST", path: "SITE/rest/api/3/issue", body: createIssue, status: 201},
	{edition: "cloud", operation: "issue.delete", method: "DELETE", path: "SITE/rest/api/3/issue/CREATED", status: 204},

	{edition: "datacenter", operation: "myself.get", method: "GET", path: "BASE/rest/api/2/myself", status: 200},
	{edition: "datacenter", operation: "project.list", method: "GET", path: "BASE/rest/api/2/project", status: 200},
	{edition: "datacenter", operation: "project.get", method: "GET", path: "BASE/rest/api/2/project/ACME", status: 200},
	{edition: "datacenter", operation: "issuetype.list", method: "GET", path: "BASE/rest/api/2/issue/createmeta/ACME/issuetypes", status: 200},
	{edition: "datacenter", operation: "field.list", method: "GET", path: "BASE/rest/api/2/issue/createmeta/ACME/issuetypes/10002", status: 200},
	{edition: "datacenter", operation: "component.list", method: "GET", path: "BASE/rest/api/2/project/ACME/components", status: 200},
	{edition: "datacenter", operation: "user.picker", method: "GET", path: "BASE/rest/api/2/user/picker?query=an", status: 200},
	{edition: "datacenter", operation: "user.assignable", method: "GET", path: "BASE/rest/api/2/user/assignable/search?project=ACME", status: 200},
	{edition: "datacenter", operation: "priority.list", method: "GET", path: "BASE/rest/api/2/priority", status: 200},
	{edition: "datacenter", operation: "issue.create", method: "POST", path: "BASE/rest/api/2/issue", body: createIssue, status: 201},
	{edition: "datacenter", operation: "issue.delete", method: "DELETE", path: "BASE/rest/api/2/issue/CREATED", status: 204},
}

// refused are calls that must not reach Jira.
var refused = []step{
	{edition: "cloud", operation: "read an issue", method: "GET", path: "SITE/rest/api/3/issue/ACME-1", status: 403, code: "method_not_documented"},
	{edition: "cloud", operation: "search issues", method: "GET", path: "SITE/rest/api/3/search/jql?jql=project=ACME", status: 403, code: "operation_not_documented"},
	{edition: "cloud", operation: "edit an issue", method: "PUT", path: "SITE/rest/api/3/issue/ACME-1", body: createIssue, status: 403, code: "method_not_documented"},
	{edition: "cloud", operation: "another API version", method: "GET", path: "SITE/rest/api/latest/myself", status: 403, code: "operation_not_documented"},
	{edition: "cloud", operation: "undocumented parameter", method: "GET", path: "SITE/rest/api/3/myself?os_authType=basic", status: 403, code: "query_not_documented"},
	{edition: "cloud", operation: "encoded slash", method: "GET", path: "SITE/rest/api/3/project/ACME%2Fstatuses", status: 403, code: "path_malformed"},
	{edition: "cloud", operation: "issue with a transition", method: "POST", path: "SITE/rest/api/3/issue", body: movesIssue, status: 403, code: "body_not_allowed"},
	{edition: "cloud", operation: "delete another's issue", method: "DELETE", path: "SITE/rest/api/3/issue/ACME-1", status: 403, code: "issue_not_published"},
	{edition: "cloud", operation: "another site's id", method: "GET", path: "https://api.atlassian.com/ex/jira/f3e2d1c0-b4a5-4697-8879-6a5b4c3d2e1f/rest/api/3/myself", status: 403, code: "connection_unknown"},
	{edition: "datacenter", operation: "path parameter", method: "GET", path: "BASE/rest/api/2/myself;jsessionid=1", status: 403, code: "path_malformed"},
	{edition: "datacenter", operation: "open a session", method: "POST", path: "BASE/rest/auth/1/session", body: `{}`, status: 403, code: "operation_not_documented"},
	{edition: "datacenter", operation: "WebSocket upgrade", method: "GET", path: "BASE/rest/api/2/myself", status: 403, code: "upgrade_not_allowed",
		header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
	{edition: "", operation: "a host of nobody", method: "GET", path: "https://example.com/", status: 403, code: "connection_unknown"},
	{edition: "", operation: "a wrong client token", method: "GET", path: "SITE/rest/api/3/myself", status: 407, code: "client_unidentified", outsider: true},
}
