package admin

import (
	"context"
	"errors"
	"io"
	"net/http"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// Actor is who makes a request, and from where, as the audit records name it.
type Actor = act.Actor

// answer is that of a route which changes something. It is written when the
// outcome is on record.
type answer struct {
	status int
	body   any  // JSON; nil means none
	sent   bool // the route has written it itself
}

// task is one request to change something, on its way into the records.
type task struct {
	api    *API
	r      *http.Request
	record audit.Record
	body   countedBody
	begun  *act.Act
	ended  bool
}

// countedBody is the body of a request, of which it counts the bytes that were read.
type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// changeFunc is a route that changes something. It checks what it is asked to do,
// calls [task.begin], and does it.
type changeFunc func(w http.ResponseWriter, r *http.Request, t *task) (answer, error)

// recorded makes a route of h, for those who have role, whose requests are records of
// operation, refused ones too.
func (a *API) recorded(role Role, operation string, h changeFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		t := &task{api: a, body: countedBody{ReadCloser: r.Body}, record: audit.Record{
			Operation:  operation,
			Method:     r.Method,
			Path:       r.URL.Path,
			Connection: knownID(r.PathValue("id") + r.PathValue("connection")), // no route has both
		}}
		r = r.WithContext(r.Context()) // a copy: a handler may not change a request
		r.Body = &t.body
		t.r = r
		defer t.end(http.StatusInternalServerError, CodeInternal) // of a panic
		var result answer
		err := permit(r.Context(), role)
		if err == nil {
			result, err = h(w, r, t)
		}
		if err != nil {
			p := problemOf(err)
			t.end(p.Status, p.Code)
			return p
		}
		t.end(result.status, "")
		switch {
		case result.sent:
			return nil
		case result.body == nil:
			w.WriteHeader(result.status)
			return nil
		}
		return writeJSON(w, result.status, result.body)
	}
}

// about notes the connection that the act is about.
func (t *task) about(c *tokenstore.Connection) {
	t.record.Connection = c.ID
	t.record.Edition = string(c.Edition)
	t.record.Region = string(c.Region)
	t.record.Credential = string(c.CredentialKind)
}

// asked notes which connection is to be, as far as that is of a form that one can
// have: nothing else gets into a record.
func (t *task) asked(c *tokenstore.Connection) {
	t.record.Connection = knownID(c.ID)
	switch c.Edition {
	case policy.Cloud, policy.DataCenter:
		t.record.Edition = string(c.Edition)
	}
	switch c.Region {
	case tokenstore.RegionUS, tokenstore.RegionEU:
		t.record.Region = string(c.Region)
	}
	switch c.CredentialKind {
	case tokenstore.KindBasic, tokenstore.KindPAT, tokenstore.KindOAuth1, tokenstore.KindOAuth2:
		t.record.Credential = string(c.CredentialKind)
	}
}

// knownID is id, if that can be the id of a connection, and empty otherwise.
func knownID(id string) string {
	if tokenstore.ValidConnectionID(id) != nil {
		return ""
	}
	return id
}

// begin puts on record that the act is about to be done, and returns the context to
// do it with. It has no end: an act that has begun isn't left half-way because its
// caller has gone. After an error it must not be done.
func (t *task) begin() (context.Context, error) {
	t.record.BytesIn = t.body.n
	begun, err := t.api.acts.Begin(t.r.Context(), t.record)
	switch {
	case errors.Is(err, act.ErrUnavailable):
		p := refuse(http.StatusServiceUnavailable, CodeRecordUnavailable, "%v, so it was not done", err)
		if !errors.Is(err, audit.ErrContradicted) && !errors.Is(err, audit.ErrDamaged) { // those say what to do
			p.Hint = "the log and /readyz say what hinders the audit log; a full disk is the usual cause"
		}
		return nil, p
	case err != nil: // nobody is there to read it, but the record is
		return nil, refuse(http.StatusServiceUnavailable, CodeUnavailable, "the caller has gone, so it was not done")
	}
	t.begun = begun
	return context.WithoutCancel(t.r.Context()), nil
}

// end puts on record what came of it. The first end counts.
func (t *task) end(status int, code string) {
	if t.ended {
		return
	}
	t.ended = true
	switch {
	case t.begun != nil:
		t.begun.End(status, code)
	case code != CodeRecordUnavailable:
		t.record.BytesIn = t.body.n
		t.api.acts.Refuse(t.r.Context(), t.record, status, code)
	}
}
