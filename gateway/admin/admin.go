package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"jiragate/gateway/egress"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// Check is one thing that must work before calls can be served.
type Check struct {
	Name string // as /readyz shows it, e.g. "store"
	Run  func(ctx context.Context) error
}

// Options is what [New] needs. Nil fields are allowed only where said.
type Options struct {
	// Store is nil where there is none yet: its routes then answer no_store.
	Store tokenstore.Store
	// Region is what a connection gets that is added without one.
	Region tokenstore.Region
	// Egress is the addresses of the region; empty means unpinned.
	Egress []egress.Address
	Policy func() *policy.Policy
	// Explain says what the gateway would decide, by the gateway's own code.
	Explain func(ExplainRequest) (Explanation, error)
	// Probe makes the one call of "connection test" through the pipeline.
	Probe func(ctx context.Context, connection string) (ProbeResult, error)
	// Checks are what /readyz runs, in this order.
	Checks []Check
	// Metrics serves /metrics; nil where nothing is measured.
	Metrics http.Handler
	Version string
	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger     // nil means none
}

// API is the admin API. It has no state of its own and is safe for concurrent use.
type API struct {
	o Options
}

// New makes the API. It refuses options that leave a route without its part.
func New(o Options) (*API, error) {
	if o.Policy == nil || o.Explain == nil || o.Store != nil && o.Probe == nil {
		return nil, errors.New("admin: Policy and Explain are needed, and Probe where there is a store")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &API{o: o}, nil
}

// Local is the face for callers that need no token: whoever may open the
// socket in the data directory, or the process itself.
func (a *API) Local() http.Handler {
	return a.recovered(a.routes(readinessInFull))
}

// Network is the face for a TCP listener, behind g.
func (a *API) Network(g Guard) (http.Handler, error) {
	if g.Token.IsZero() {
		return nil, errors.New("admin: a network listener needs an admin token")
	}
	return a.recovered(secure(g.wrap(a.routes(readinessByName)))), nil
}

// handlerFunc is a route that returns its refusal instead of writing it, so
// that half an answer is never followed by another.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

func (h handlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		writeProblem(w, err)
	}
}

func (a *API) routes(detail readinessDetail) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h handlerFunc) { mux.Handle(pattern, h) }
	stored := func(pattern string, h handlerFunc) { mux.Handle(pattern, a.withStore(h)) }

	handle("GET /healthz", a.health)
	handle("GET /readyz", a.ready(detail))
	if a.o.Metrics != nil {
		mux.Handle("GET /metrics", a.o.Metrics)
	}

	stored("GET /v1/connections", a.listConnections)
	stored("POST /v1/connections", a.addConnection)
	stored("GET /v1/connections/{id}", a.showConnection)
	stored("DELETE /v1/connections/{id}", a.removeConnection)
	stored("POST /v1/connections/{id}/test", a.testConnection)
	stored("POST /v1/connections/{id}/disable", a.disableConnection)
	stored("POST /v1/connections/{id}/enable", a.enableConnection)
	stored("PUT /v1/connections/{id}/credential", a.replaceCredential)

	stored("GET /v1/clients", a.listClients)
	stored("POST /v1/clients", a.addClient)
	stored("DELETE /v1/clients/{name}", a.removeClient)
	stored("POST /v1/clients/{name}/token", a.rotateToken)
	stored("PUT /v1/clients/{name}/grants/{connection}", a.grant)
	stored("DELETE /v1/clients/{name}/grants/{connection}", a.revoke)

	handle("GET /v1/policy", a.showPolicy)
	handle("POST /v1/policy/explain", a.explain)
	handle("GET /v1/egress", a.showEgress)

	stored("GET /v1/store/backup", a.backup)
	stored("POST /v1/store/check", a.checkStore)

	handle("/", func(_ http.ResponseWriter, r *http.Request) error {
		return refuse(http.StatusNotFound, CodeNotFound, "the admin API has no %s %s", r.Method, r.URL.Path)
	})
	return mux
}

func (a *API) withStore(h handlerFunc) handlerFunc {
	if a.o.Store != nil {
		return h
	}
	return func(http.ResponseWriter, *http.Request) error {
		p := refuse(http.StatusServiceUnavailable, CodeNoStore, "there is no store yet")
		p.Hint = "jiragate serve makes it, and so does the first connection add; is JIRAGATE_DATA_DIR the right directory?"
		return p
	}
}

// recovered turns a panic into a 500 without detail; the stack goes to the
// log. http.ErrAbortHandler keeps its meaning.
func (a *API) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				// The value may quote a request; the stack holds addresses only.
				a.o.Logger.ErrorContext(r.Context(), "panic in the admin API", "method", r.Method, "stack", string(debug.Stack()))
				writeProblem(w, refuse(http.StatusInternalServerError, CodeInternal, "internal error; the log has the stack"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
