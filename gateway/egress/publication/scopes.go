package publication

import (
	"slices"
	"strings"

	"jiragate/policy"
)

// Scope is an OAuth 2.0 scope (classic scopes of Jira Cloud,
// developer.atlassian.com/cloud/jira/platform/scopes) and what it is asked for.
type Scope struct{ Name, RequiredFor string }

// knownScopes explains the scopes in the words of the customers' security
// document, in its order.
func knownScopes() []Scope {
	return []Scope{
		{"read:jira-work", "Read project list and issue metadata during configuration of the integration."},
		{"write:jira-work", "Write action items to Jira, and delete those that were written."},
		{"read:jira-user", "Enable users of Jira and of the product to be matched for action item assignments."},
		{offlineAccess, "Allow action items to be posted to Jira without requiring re-authentication each time."},
	}
}

// offlineAccess is needed by no operation: it is what brings a refresh token.
const offlineAccess = "offline_access"

// Scopes lists the scopes that the policy's Cloud operations need, those that are
// off included: a grant is asked for once. One that nobody explained is listed
// all the same.
func Scopes(p *policy.Policy) []Scope {
	needed := map[string]bool{offlineAccess: true}
	for _, o := range p.Operations() {
		if o.Scope != "" {
			needed[o.Scope] = true
		}
	}
	var list []Scope
	for _, s := range knownScopes() {
		if needed[s.Name] {
			list = append(list, s)
			delete(needed, s.Name)
		}
	}
	var others []Scope
	for name := range needed {
		others = append(others, Scope{name, "See the operations."})
	}
	slices.SortFunc(others, func(a, b Scope) int { return strings.Compare(a.Name, b.Name) })
	return append(list, others...)
}
