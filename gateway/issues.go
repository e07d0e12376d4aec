package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"jiragate/tokenstore"
)

// Operations whose outcome the gateway itself remembers, and the name of the
// path parameter that holds the issue.
const (
	operationCreate = "issue.create"
	operationDelete = "issue.delete"
	parameterIssue  = "issueIdOrKey"
)

// ownIssue holds deletes to what was published through this gateway (G10).
func (g *Gateway) ownIssue(ctx context.Context, c *Call) *refusal {
	if c.decision.Operation.ID != operationDelete {
		return nil
	}
	switch g.options.Delete {
	case DeleteAny:
		return nil
	case DeleteNone:
		return deletingIsOff()
	}
	ok, err := g.options.Issues.IssuePublished(ctx, c.connection.ID, c.decision.Param(parameterIssue))
	if errors.Is(err, tokenstore.ErrUnavailable) {
		return &refusal{code: CodeCredentialUnavailable, cause: g.records.aboutIssue(err),
			detail: "Whether the issue was published could not be looked up: the store did not answer. Nothing was sent; try again shortly."}
	}
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		return &refusal{code: CodeInternal, detail: "Whether the issue was published could not be looked up.", cause: g.records.aboutIssue(err)}
	}
	if !ok {
		return refuse(CodeIssueNotPublished, "Only an issue that this connection created through the gateway, and that was not deleted yet, can be deleted.")
	}
	return nil
}

func deletingIsOff() *refusal {
	return refuse(CodeDeleteSwitchedOff, "This gateway lets no issue be deleted (JIRAGATE_DELETE=none).")
}

// published commits an issue that Jira has just created, before the client
// learns of it, so that the client can delete it whatever happens next (G10).
// The issue exists: a failure here is logged and the client gets its 201.
func (g *Gateway) published(c *Call, body []byte) {
	var issue struct{ ID, Key string }
	err := json.Unmarshal(body, &issue)
	if err == nil {
		err = g.options.Issues.RecordIssue(context.WithoutCancel(c.in.Context()), tokenstore.PublishedIssue{
			Connection: c.connection.ID, Incarnation: c.connection.Incarnation, ID: issue.ID, Key: issue.Key,
			CreatedAt: time.Now().UTC(), Client: c.client(), Record: c.record.ID,
		})
	}
	if err != nil {
		g.log.ErrorContext(c.context(), "published issue not remembered; it cannot be deleted through the gateway",
			"connection", c.connection.ID, "record", c.record.ID, "error", g.records.aboutIssue(err),
			"hint", "look at the store: the disk of JIRAGATE_DATA_DIR, or etcd's members; then import the issue with jiragate issue import")
	}
}

// deleted forgets an issue that is no more.
func (g *Gateway) deleted(c *Call) {
	err := g.options.Issues.ForgetIssue(context.WithoutCancel(c.in.Context()), c.connection.ID, c.decision.Param(parameterIssue))
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		g.log.WarnContext(c.context(), "deleted issue not forgotten", "connection", c.connection.ID, "record", c.record.ID, "error", g.records.aboutIssue(err),
			"hint", "nothing is lost: Jira has deleted it; look at the store: the disk of JIRAGATE_DATA_DIR, or etcd's members")
	}
}
