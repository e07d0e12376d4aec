package admin

import (
	"net/http"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
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
	begun  *act.Act
	ended  bool
}

// changeFunc is a route that changes something. It checks what it is asked to do,
// calls [task.begin], and does it.
type changeFunc func(w http.ResponseWriter, r *http.Request, t *task) (answer, error)

// recorded makes a route of h whose requests are records of operation, refused ones
// too.
func (a *API) recorded(operation string, h changeFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		t := &task{api: a, r: r, record: audit.Record{
			Operation:  operation,
			Method:     r.Method,
			Path:       r.URL.Path,
			Connection: r.PathValue("id") + r.PathValue("connection"), // no route has both
		}}
		defer t.end(http.StatusInternalServerError, CodeInternal) // of a panic
		result, err := h(w, r, t)
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

// begin puts on record that the act is about to be done. After an error it must not
// be.
func (t *task) begin() error {
	begun, err := t.api.acts.Begin(t.r.Context(), t.record)
	if err != nil {
		p := refuse(http.StatusServiceUnavailable, CodeRecordUnavailable, "%v, so it was not done", err)
		p.Hint = "the log and /readyz say what hinders the audit log; a full disk is the usual cause"
		return p
	}
	t.begun = begun
	return nil
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
		t.api.acts.Refuse(t.r.Context(), t.record, status, code)
	}
}

// as is h for the requests of whoever actor names.
func as(actor func(*http.Request) Actor, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(act.With(r.Context(), actor(r))))
	})
}
