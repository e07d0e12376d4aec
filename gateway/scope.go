package gateway

import (
	"slices"
	"strings"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// scoped refuses an operation that the grant does not cover, before Jira does:
// its own answer is a 401 that looks like an expired token (Atlassian's community,
// "Unauthorized; scope does not match"). Where the scopes of a grant are not
// known, Jira is asked.
func scoped(c *tokenstore.Connection, op *policy.Operation) *refusal {
	if op.Scope == "" || len(c.Scopes) == 0 || slices.Contains(c.Scopes, op.Scope) {
		return nil
	}
	return refuse(CodeScopeNotGranted, "The operation needs the scope "+op.Scope+", and the connection's grant has only "+
		strings.Join(c.Scopes, " ")+". An administrator of the site must consent anew: jiragate connection consent "+c.ID+".")
}
