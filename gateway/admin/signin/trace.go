package signin

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
)

const (
	operationSignIn  = "admin.signin"
	operationSignOut = "admin.signout"

	// refusalsLogged and refusalsRecorded are how often there is a line in the log,
	// and an audit record, about refused sign-ins: anybody can try as often as they
	// like.
	refusalsLogged   = time.Second
	refusalsRecorded = time.Minute
)

// trace puts on record who signed in and out, and who didn't get in.
type trace struct {
	acts   *act.Journal
	logger *slog.Logger
	now    func() time.Time

	mu       sync.Mutex
	strange  pauses // of strangers
	familiar pauses // of people whom the provider knows: strangers can't drown those
}

type pauses struct {
	logged, recorded time.Time
	unlogged         int // refused since the last line
}

func (t *trace) context(r *http.Request, actor string) context.Context {
	return act.With(r.Context(), act.Actor{Name: actor, Addr: r.RemoteAddr})
}

func record(r *http.Request, operation string) audit.Record {
	return audit.Record{Operation: operation, Method: r.Method, Path: r.URL.Path}
}

// begin puts on record that somebody is about to sign in or out.
func (t *trace) begin(r *http.Request, operation, actor string) (*act.Act, error) {
	begun, err := t.acts.Begin(t.context(r, actor), record(r, operation))
	if err != nil {
		t.logger.ErrorContext(r.Context(), "an act can't be recorded", "operation", operation, "actor", actor, "error", err,
			"hint", "free the disk of JIRAGATE_DATA_DIR or make it writable; nobody signs in until then")
	}
	return begun, err
}

// refused leaves a trace of a sign-in that was refused, or failed.
func (t *trace) refused(r *http.Request, f failure) {
	t.mu.Lock()
	now := t.now()
	p := &t.strange
	if f.actor != "" {
		p = &t.familiar
	}
	log, put := due(&p.logged, now, refusalsLogged), due(&p.recorded, now, refusalsRecorded)
	p.unlogged++
	n := p.unlogged
	if log {
		p.unlogged = 0
	}
	t.mu.Unlock()

	actor, operation := cmp.Or(f.actor, "operator:unknown"), cmp.Or(f.operation, operationSignIn)
	if log {
		attrs := []any{"operation", operation, "addr", t.acts.Address(r.RemoteAddr), "actor", actor, "code", f.code, "count", n, "hint", "if it was one of yours, code and reason say what to change; if not, and it goes on, keep the address away"}
		if f.detail != "" {
			attrs = append(attrs, "reason", f.detail)
		}
		t.logger.WarnContext(r.Context(), "sign-in or sign-out refused", attrs...)
	}
	if put {
		t.acts.Refuse(t.context(r, actor), record(r, operation), f.status, f.code)
	}
}

// due reports whether it is time again, and notes that it was.
func due(last *time.Time, now time.Time, pause time.Duration) bool {
	if !last.IsZero() && now.Sub(*last) < pause {
		return false
	}
	*last = now
	return true
}
