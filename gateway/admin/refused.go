package admin

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
)

const (
	// refusalsLogged and refusalsRecorded are how often there is a line in the log,
	// and an audit record, about requests that were refused at the door: anybody can
	// send as many as they like.
	refusalsLogged   = time.Second
	refusalsRecorded = time.Minute

	// operationRefused is the name that those records have.
	operationRefused = "admin.refused"

	// maxRefusedPath is how much of a path is kept, in bytes.
	maxRefusedPath = 128
)

// refusals leaves a trace of requests that a [Guard] refuses, since somebody may be
// guessing the token. It is safe for concurrent use.
type refusals struct {
	logger *slog.Logger
	addr   func(string) string // as it may be logged
	acts   *act.Journal        // nil where there is no audit log

	mu       sync.Mutex
	quiet    bool // there was a line just now
	between  int  // refused since then
	last     refusal
	recorded time.Time
}

// refusal is what is told of one. It has nothing of what the request was to be
// authorised by.
type refusal struct{ addr, path, code string }

func (a *API) refused() *refusals {
	f := &refusals{logger: a.o.Logger, addr: a.acts.Address}
	if a.o.Audit != nil {
		f.acts = a.acts
	}
	return f
}

// write answers with p. Refusals for the sake of a Host or an origin are of interest
// below /v1 only, since any name of this machine is asked for by anybody.
func (f *refusals) write(w http.ResponseWriter, r *http.Request, p *Problem) {
	if p.Code == CodeUnauthorised || p.Code == CodeTooManyTries || strings.HasPrefix(r.URL.Path, "/v1/") {
		f.note(r, p)
	}
	writeProblem(w, p)
}

func (f *refusals) note(r *http.Request, p *Problem) {
	is := refusal{r.RemoteAddr, cutPath(r.URL.Path), p.Code}
	f.mu.Lock()
	log := !f.quiet
	if log {
		f.quiet = true
		time.AfterFunc(refusalsLogged, f.resume)
	} else {
		f.between++
		f.last = is
	}
	now := time.Now()
	record := f.acts != nil && (f.recorded.IsZero() || now.Sub(f.recorded) >= refusalsRecorded)
	if record {
		f.recorded = now
	}
	f.mu.Unlock()
	if log {
		f.log(is, 1)
	}
	if record {
		ctx := act.With(r.Context(), act.Actor{Name: "operator:unknown", Addr: is.addr})
		f.acts.Refuse(ctx, audit.Record{Operation: operationRefused, Method: r.Method, Path: is.path}, p.Status, p.Code)
	}
}

// resume lets the next line be written; that is at once, if some were refused since
// the last.
func (f *refusals) resume() {
	f.mu.Lock()
	is, n := f.last, f.between
	f.between = 0
	if f.quiet = n > 0; f.quiet {
		time.AfterFunc(refusalsLogged, f.resume)
	}
	f.mu.Unlock()
	if n > 0 {
		f.log(is, n)
	}
}

// log tells of n refusals, of which is was the last.
func (f *refusals) log(is refusal, n int) {
	f.logger.Warn("admin request refused", "addr", f.addr(is.addr), "path", is.path, "code", is.code, "count", n,
		"hint", "if it is yours, give it the admin token and a Host that JIRAGATE_ADMIN_LISTEN or _CONSOLE_URL names; if not, keep it away from the listener")
}

func cutPath(path string) string {
	if len(path) <= maxRefusedPath {
		return path
	}
	return strings.ToValidUTF8(path[:maxRefusedPath], "") + "…"
}
