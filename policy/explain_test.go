package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each case shows the whole text but its last line, which names the policy.
func TestExplain(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	tests := []struct {
		name string
		r    Request
		want string
	}{
		{"allowed", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/%41CME", RawQuery: "expand=issueTypes"}, `
decision   allow
operation  issuetype.list: Retrieve issue types for selected project (Jira Cloud)
template   GET /rest/api/3/project/{projectIdOrKey}
query      expand (one or more of description, issueTypes, lead, projectKeys, issueTypeHierarchy, separated by commas)
body       none is forwarded
scope      read:jira-work
sends      GET /rest/api/3/project/ACME?expand=issueTypes
`},
		{"without a query", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME"}, `
decision   allow
operation  project.get: Retrieve project details (Jira Cloud)
template   GET /rest/api/3/project/{projectIdOrKey}
query      expand (one or more of description, issueTypes, lead, projectKeys, issueTypeHierarchy, separated by commas); properties
body       none is forwarded
scope      read:jira-work
sends      GET /rest/api/3/project/ACME
`},
		{"without a scope", Request{Edition: DataCenter, Method: "GET", Path: "/rest/api/2/issue/createmeta/ACME/issuetypes", RawQuery: "startAt=50"}, `
decision   allow
operation  issuetype.list: Retrieve issue types for selected project (Jira Data Center and Server)
template   GET /rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes
query      startAt (a whole number); maxResults (a whole number)
body       none is forwarded
sends      GET /rest/api/2/issue/createmeta/ACME/issuetypes?startAt=50
`},
		{"with a body", Request{Edition: DataCenter, Method: "POST", Path: "/rest/api/2/issue"}, `
decision   allow
operation  issue.create: Publish a Jira Issue (Jira Data Center and Server)
template   POST /rest/api/2/issue
query      updateHistory (true or false)
body       required: a JSON object with "fields", at most 1 MiB
sends      POST /rest/api/2/issue
`},
		{"refused by the catalogue", Request{Edition: Cloud, Method: "PUT", Path: "/rest/api/3/issue/ACME-1"}, `
decision   deny: method_not_documented
because    the method "PUT" is not documented for /rest/api/3/issue/{issueIdOrKey}; use DELETE
methods    DELETE
`},
		{"refused by a rule", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/SECRET", Connection: "limited", Client: "billing"}, `
decision   deny: project_not_allowed
because    the project "SECRET" is outside the limit (the operator's rule "two-projects" allows: ACME, 10000)
operation  project.get: Retrieve project details (Jira Cloud)
template   GET /rest/api/3/project/{projectIdOrKey}
query      expand (one or more of description, issueTypes, lead, projectKeys, issueTypeHierarchy, separated by commas); properties
body       none is forwarded
scope      read:jira-work
rule       two-projects (enforce): refuses this call
rule       acme-for-billing (enforce)
`},
		{"reported", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/priority", Connection: "trial"}, `
decision   allow
operation  priority.list: Retrieve priority options (Jira Cloud)
template   GET /rest/api/3/priority
query      none documented
body       none is forwarded
scope      read:jira-work
sends      GET /rest/api/3/priority
rule       trial (report)
reported   operation_switched_off: a rule in mode report would refuse this call
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.TrimPrefix(tt.want, "\n") + "policy     version 1.0, SHA-256 " + p.SHA256() + "\n"
			if diff := cmp.Diff(want, p.Explain(tt.r)); diff != "" {
				t.Errorf("the text (-want +got):\n%s", diff)
			}
		})
	}
}
