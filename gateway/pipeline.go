package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"jiragate/policy"
)

// serve takes one call along its way, top to bottom. Whatever ends it early
// becomes a refusal; either way the call record is completed before the client
// can see the end of its answer.
func (g *Gateway) serve(w http.ResponseWriter, c *Call) {
	g.calls.Add(1)
	defer g.calls.Add(-1)
	ctx, end := g.startSpan(c)
	defer end()
	g.inFlight(c, 1)
	defer g.inFlight(c, -1)
	defer c.leave()
	defer c.turn.done(false) // where no answer has told
	defer g.contain(w, c)
	if c.origin.last(time.Now()) {
		w.Header().Set("Connection", "close") // over HTTP/2 it becomes a GOAWAY
	}
	if c.in.Method == http.MethodConnect && c.in.ProtoMajor == 1 {
		// It is refused, and whoever did not wait for that goes on with what belongs into
		// the tunnel, and must not be read as requests of the client's.
		w.Header().Set("Connection", "close")
	}

	answer, refused := g.way(ctx, w, c)
	if refused != nil {
		g.refuse(w, c, refused)
		return
	}
	g.respond(w, c, answer)
}

// contain turns a panic into a refusal without detail. What was panicked with
// may hold anything, so only its type is logged.
func (g *Gateway) contain(w http.ResponseWriter, c *Call) {
	switch p := recover(); {
	case p == nil:
	case p == http.ErrAbortHandler:
		panic(p)
	default:
		g.log.ErrorContext(c.context(), "panic in a call", "record", c.record.ID, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()),
			"hint", "a bug: report the stack and the program's version; the record says whether the call was sent")
		if c.completed {
			c.cut = CodeInternal
			panic(http.ErrAbortHandler)
		}
		g.refuse(w, c, refuse(CodeInternal, "The gateway failed; the call may have been sent. Its operator finds the reason in the log under the record's id."))
	}
}

// way is the way of a call up to the first byte of Jira's answer.
func (g *Gateway) way(ctx context.Context, w http.ResponseWriter, c *Call) (*answer, *refusal) {
	if refused := g.admit(c); refused != nil {
		return nil, refused
	}
	if refused := g.room(ctx, c); refused != nil {
		return nil, refused
	}
	if refused := g.resolve(c); refused != nil {
		return nil, refused
	}
	if refused := g.decide(ctx, w, c); refused != nil {
		return nil, refused
	}
	if refused := g.permitted(c); refused != nil {
		return nil, refused
	}
	if refused := g.ownIssue(ctx, c); refused != nil {
		return nil, refused
	}
	if refused := g.pace(ctx, c); refused != nil {
		return nil, refused
	}
	if refused := g.permitted(c); refused != nil { // it may have waited
		return nil, refused
	}
	if refused := g.begin(c); refused != nil {
		return nil, refused
	}
	g.rebuild(ctx, c)
	if refused := g.authorise(ctx, c); refused != nil {
		return nil, refused
	}
	a, refused := g.send(c)
	if refused != nil {
		return nil, refused
	}
	if a, refused = g.refreshed(ctx, c, a); refused != nil {
		return nil, refused
	}
	g.diagnose(c, a)
	return a, nil
}

// permitted looks at client, connection, grant and scope as they are now.
func (g *Gateway) permitted(c *Call) *refusal {
	if refused := g.confirm(c); refused != nil {
		return refused
	}
	return scoped(c.connection, c.decision.Operation)
}

// resolve finds the connection the call belongs to, and the path below its
// base, which is all that the policy looks at.
func (g *Gateway) resolve(c *Call) *refusal {
	s := g.resolver()
	c.resolver = s
	chosen, refused := c.identity.choose(c.in)
	if refused != nil {
		return refused
	}
	var rest string
	if c.door == doorBase {
		c.connection, c.target, rest, refused = s.resolveBase(c.identity.client, chosen, c.in.RequestURI)
	} else {
		if c.target, refused = readTarget(c); refused == nil {
			c.connection, rest, refused = s.resolve(c.identity.client, chosen, c.target)
		}
	}
	if c.connection != nil {
		c.record.Connection, c.record.Edition, c.record.Region = c.connection.ID, string(c.connection.Edition), string(c.connection.Region)
		c.record.Path = rest
	}
	if refused != nil {
		return refused
	}
	c.request = policy.Request{
		Edition: c.connection.Edition, Method: c.in.Method, Path: rest, RawQuery: c.target.rawQuery,
		Client: c.client(), Connection: c.connection.ID,
	}
	return nil
}

// readTarget reads where the request wants to go.
func readTarget(c *Call) (target, *refusal) {
	if c.door == doorTunnel {
		return tunnelTarget(c.in, c.origin.tunnel.authority)
	}
	return splitAbsolute(c.in.RequestURI)
}

// decide asks the policy, reads the body whole, and asks again about the body.
// A body on GET or DELETE, which real clients send, is read and dropped.
func (g *Gateway) decide(ctx context.Context, w http.ResponseWriter, c *Call) *refusal {
	span := c.span
	if span.IsRecording() { // a child of one that isn't is of no use to anybody
		_, span = g.tracer.Start(ctx, "policy")
		defer span.End()
	}
	c.policy = g.options.Policy()
	c.record.PolicySHA256 = c.policy.SHA256()
	c.decision = c.policy.Decide(c.request)
	c.describe()
	if !c.decision.Allowed() {
		denied(span, c.decision.Code)
		return policyRefusal(&c.decision)
	}
	if refused := g.roomForBody(ctx, c); refused != nil {
		return refused
	}
	body, refused := readBody(w, c)
	if refused != nil {
		return refused
	}
	c.held.Keep(int64(len(body)))
	c.body, c.decision = c.policy.DecideBody(c.decision, c.request, c.in.Header.Get("Content-Type"), body)
	if c.decision.Operation.Body == "" {
		return nil // nothing was decided anew
	}
	c.describe()
	if !c.decision.Allowed() {
		denied(span, c.decision.Code)
		return policyRefusal(&c.decision)
	}
	return nil
}

// describe puts what the policy found into the record.
func (c *Call) describe() {
	if op := c.decision.Operation; op != nil {
		c.record.Operation = op.ID
	}
	if c.decision.Allowed() {
		c.record.Path = c.decision.Path()
	}
	c.record.QueryNames = c.decision.QueryNames()
	if len(c.decision.Reported) > 0 {
		// A rule in report mode would have refused this call.
		c.record.Code = string(c.decision.Reported[0])
	}
}

func policyRefusal(d *policy.Decision) *refusal {
	return &refusal{code: Code(d.Code), detail: d.Detail, allow: d.Allow}
}

// begin writes the intent record: no call without a record (G6).
func (g *Gateway) begin(c *Call) *refusal {
	c.record.Decision = decisionAllow
	c.record.Credential = string(c.connection.CredentialKind)
	if err := g.records.begin(c); err != nil {
		return &refusal{code: CodeRecordUnavailable, cause: err,
			detail: "The call was not sent, because it could not be recorded. See /readyz and the gateway's log."}
	}
	return nil
}

// rebuild makes the request that goes out, from the connection's base, the
// decision and the rebuilt body. Nothing of the client's own message is in it
// but allowlisted header fields (G2, G4).
func (g *Gateway) rebuild(ctx context.Context, c *Call) {
	scheme, host, base := c.resolver.upstream(c.connection)
	u := &url.URL{Scheme: scheme, Host: host, Path: base + c.decision.Path(), RawQuery: c.decision.RawQuery()}
	requestHeader(&c.fields, c.in, c.decision.Operation.Method, g.userAgent)
	c.outgoing = http.Request{
		Method: c.decision.Operation.Method, URL: u, Host: host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	c.ctx, c.out = ctx, &c.outgoing
	if c.body != nil {
		// No GetBody: the transport must not be able to send it twice (G9).
		c.out.Body, c.out.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
		c.fields.set("Content-Type", "application/json")
	}
	c.out.Header = c.fields.header
}

const (
	decisionAllow = "allow"
	decisionDeny  = "deny"
)

// complete writes the call record: the one of the call that went out, or that
// of a refusal.
func (g *Gateway) complete(c *Call) {
	c.completed = true
	// A log that has refused the intent counts the call.
	if unrecorded := c.refused != nil && (c.refused.code == CodeRecordUnavailable || c.refused.unrecorded); !unrecorded {
		if err := g.records.complete(c); err != nil {
			g.log.ErrorContext(c.context(), "call record not written", "record", c.record.ID, "error", err,
				"hint", "free the disk of JIRAGATE_DATA_DIR or make it writable; the record is written as soon as that works")
		}
	}
	g.measure(c)
}

// refuse ends a call with a refusal.
func (g *Gateway) refuse(w http.ResponseWriter, c *Call, r *refusal) {
	c.refused = r
	m := r.code.meaning()
	if c.pending == nil {
		c.record.Decision = decisionDeny
	}
	c.record.Code, c.record.Status = string(r.code), m.status
	g.bounds.refused(c, r)
	body := r.body(c)
	c.record.BytesOut = int64(len(body))
	g.complete(c)
	g.logRefusal(c, r)
	if m.status == 0 {
		panic(http.ErrAbortHandler)
	}
	place, err := g.bounds.answers.Take(context.Background(), c.whose(), 1) // waits for nothing
	if err != nil {
		g.bounds.count(limitAnswers, !r.unrecorded)
		panic(http.ErrAbortHandler)
	}
	defer place.Release()
	dropBody(w, c)
	r.setHeader(w.Header(), len(body))
	c.nameTrace(w.Header())
	writeWhole(w, m.status, body)
}
