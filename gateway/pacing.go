package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"jiragate/gateway/pace"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// pace waits until the call may go out: not while Jira asks its connection to
// wait, and not beyond the connection's part of what Jira and Atlassian take. One
// that has to be refused for its credential waits for nothing.
func (g *Gateway) pace(ctx context.Context, c *Call) *refusal {
	if c.connection.State == tokenstore.StateNeedsReauthorisation {
		return nil
	}
	asked := time.Now()
	pass, err := g.pacer.Enter(ctx, c.paced())
	if err != nil {
		c.away(asked)
		return c.paceRefused(err)
	}
	c.pass = pass
	if pass.Waited() {
		c.away(asked)
		c.paceWaited(time.Since(asked))
	}
	return nil
}

// goes looks at pauses once more before the call goes out: the credential, or a
// renewed token, may have taken its time.
func (c *Call) goes() *refusal {
	if c.sockets == 0 {
		if err := c.pass.Ready(); err != nil {
			return c.paceRefused(err)
		}
		return nil
	}
	err := c.pass.Again()
	if err == nil {
		return nil
	}
	refused := c.paceRefused(err)
	refused.detail = "Jira refused the access token, which has been renewed; the read was not repeated with it, because it would have to wait. Try again after Retry-After."
	return refused
}

func pacingRefusal(err error) *refusal {
	refused, ok := errors.AsType[*pace.Refusal](err)
	if !ok {
		return &refusal{code: CodeClientDisconnected, detail: "The client went away.", cause: err}
	}
	return &refusal{code: Code(refused.Reason), detail: pacingDetail(refused.Reason), retryAfter: refused.RetryAfter}
}

func (c *Call) paced() pace.Call {
	op := c.decision.Operation
	return pace.Call{
		Connection:  c.connection.ID,
		Incarnation: c.connection.Incarnation,
		Operation:   op.ID,
		Method:      op.Method,
		Endpoint:    op.Path,
		Resource:    c.record.Path, // that of the decision
		App:         c.connection.Edition == policy.Cloud,
	}
}

// leave makes room for the next call of the connection. A call of which nothing was
// sent has cost nothing.
func (c *Call) leave() {
	if c.sockets == 0 {
		c.pass.Cancel()
	}
	c.pass.Leave()
	c.held.Release()
	c.place.Release()
}

// heedLimits has the calls to come pause for as long as Jira asks.
func (g *Gateway) heedLimits(span trace.Span, c *Call, r *http.Response) {
	signal := pace.ReadSignal(r.StatusCode, r.Header, time.Now())
	if signal == (pace.Signal{}) {
		return
	}
	call := c.paced()
	g.pacer.Heed(call, signal)
	if signal.Pauses(call) {
		askedToWait(span, signal)
	}
}

// pacingDetail tells the client what its Retry-After is about.
func pacingDetail(r pace.Reason) string {
	const notSent = " Nothing was sent; try again after Retry-After."
	switch r {
	case pace.ReasonAsked:
		return "Jira has asked this connection to wait, and the wait is not over." + notSent
	case pace.ReasonAppPaused:
		return "Atlassian has asked the integration to wait, with all its customers: the points of this hour are used up." + notSent
	case pace.ReasonAppShare:
		return "The connection has used up its share of the points that Atlassian gives the integration each hour; the rest is for the other customers." + notSent
	case pace.ReasonBudget:
		return "The connection's requests a second are used up (JIRAGATE_CONNECTION_RATE)." + notSent
	case pace.ReasonBusy:
		return "As many calls of this connection as may be are at Jira (JIRAGATE_CONNECTION_CONCURRENCY), and none ended in time." + notSent
	}
	return "The gateway has too many connections at work." + notSent
}
