package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/consent"
	"jiragate/policy"
	"jiragate/policy/history"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// Options is what [New] needs. Nil fields are allowed only where said.
type Options struct {
	// Store is nil where there is none yet: its routes then answer no_store.
	Store tokenstore.Store
	// Region is what a connection gets that is added without one.
	Region tokenstore.Region
	// Egress is about the addresses of the region.
	Egress Egress
	Policy func() *policy.Policy
	// Audit returns the log that changes are recorded in. It is called for each, so
	// that it can be opened by the first. It is needed where there is a store.
	Audit func() (act.Recorder, error)
	// Log is the audit log as it is read.
	Log AuditLog
	// ClientAddr returns where a request came from as it may be recorded and logged.
	// Optional: nil means as it is.
	ClientAddr func(addr string) string
	// Explain says what the gateway would decide, by the gateway's own code.
	Explain func(ExplainRequest) (Explanation, error)
	// Probe makes the one call of "connection test" through the pipeline.
	Probe func(ctx context.Context, connection string) (ProbeResult, error)
	// Consenter asks for consents and ends grants; nil where that isn't possible.
	Consenter Consenter
	// RedirectURL is where browsers come back to from a consent: it ends in
	// /oauth/callback. Empty means that nobody can be asked for consent.
	RedirectURL string
	// ConsentReady says what the gateway lacks to ask for consent at Atlassian; nil
	// means nothing.
	ConsentReady func() error
	// Keys is the keyset that the store and the CA key are sealed under; nil where it
	// can't be looked at.
	Keys Keyring
	// SharedStore: other gateways may have the store, too, and copies of the keyset.
	SharedStore bool
	// CA has the roots that clients trust. Its functions go with Keys.
	CA CA
	// AuditKey signs what is published. Its functions go with Keys, too.
	AuditKey SigningKey
	// Pseudonyms is the key of the pseudonyms in call records. Its functions go with
	// Keys, too.
	Pseudonyms PseudonymKey
	// LastCall returns the newest call of a connection, and LastCallOf that of a
	// client. They are asked for each row of a page. Optional.
	LastCall, LastCallOf func(name string) (LastCall, bool)
	// Policies are those that have decided; nil where none are kept.
	Policies *history.History
	// Codes are all that calls are refused with, or fail with, as call records name
	// them. Optional.
	Codes []Code
	// Checks are what /readyz runs, and shows in this order. They run side by side.
	Checks []Check
	// Started is when the gateway began to serve; zero where none does.
	Started time.Time
	// Load is what it has to do at the moment; nil where no gateway serves.
	Load func() Load
	// Warnings are what holds now that an operator may not mean; nil means none.
	Warnings func() []Warning
	// Reload reads the files again that the settings name; nil where no gateway runs.
	// The error says that it couldn't be recorded, so that nothing has changed.
	Reload func(context.Context) (Reloaded, error)
	// LastReload is the last time that settings were read again; nil where they
	// can't be, and its result where they have not been.
	LastReload func() *LastReload
	// Upgrade has a new process take over, and returns once that is prepared; nil where
	// none can. Upgraded is what came of the last time; nil means nothing.
	Upgrade  func(ctx context.Context) (Prepared, error)
	Upgraded func() *Upgrade
	// Metrics serves /metrics; nil where nothing is measured.
	Metrics http.Handler
	Version string
	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger     // nil means none
}

// SigningKey is the audit key: opened, and made, when it is first needed.
type SigningKey struct {
	Open func() (Signer, error)
	// Reseal seals it under the primary key of the keyset, if it isn't, and
	// SealedUnder tells under which keys it is. Where there is none yet, both fail
	// with fs.ErrNotExist.
	Reseal      func() (changed bool, err error)
	SealedUnder func() ([]uint32, error)
}

// API is the admin API. It is safe for concurrent use.
type API struct {
	o    Options
	acts *act.Journal
	flow *consent.Flow // nil without a store

	reading *reading
	prober  *prober
	tokens  tokens
}

// New makes the API. It refuses options that leave a route without its part.
func New(o Options) (*API, error) {
	switch {
	case o.Policy == nil || o.Explain == nil:
		return nil, errors.New("admin: Policy and Explain are needed")
	case o.Store != nil && (o.Probe == nil || o.Audit == nil):
		return nil, errors.New("admin: Probe and Audit are needed where there is a store")
	case o.Keys != nil && (!o.CA.complete() || o.AuditKey.Reseal == nil || o.AuditKey.SealedUnder == nil ||
		o.Pseudonyms.Reseal == nil || o.Pseudonyms.SealedUnder == nil):
		return nil, errors.New("admin: CA, AuditKey and Pseudonyms go with Keys")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &API{o: o, reading: newReading(), prober: newProber(o.Checks, o.Now, o.Logger), acts: &act.Journal{
		Open:         o.Audit,
		PolicySHA256: func() string { return o.Policy().SHA256() },
		ClientAddr:   o.ClientAddr,
		Now:          o.Now,
		Logger:       o.Logger,
	}}
	if o.Store == nil {
		return a, nil
	}
	flow, err := consent.New(consent.Options{
		Store:       o.Store,
		Consenter:   o.Consenter,
		RedirectURL: o.RedirectURL,
		Test:        a.testConsent,
		Acts:        a.acts,
		Now:         o.Now,
		Logger:      o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	a.flow = flow
	return a, nil
}

// Local is the face for callers that need no token: whoever may open the
// socket in the data directory, or the process itself. actor says who that is.
func (a *API) Local(actor func(*http.Request) Actor) http.Handler {
	routes := as(func(r *http.Request) Caller {
		return Caller{actor(r), RoleAdmin}
	}, a.mux(readinessInFull))
	return a.recovered(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		routes.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), localKey{}, true)))
	}))
}

// InProcess is the face for the pages of this process, which have found out
// themselves who asks. A request without a [Caller] in its context is refused.
func (a *API) InProcess() http.Handler { return a.recovered(a.mux(readinessInFull)) }

// Network is the face for a TCP listener, behind g. It serves pages, too, and the
// consents in the browser: these need no admin token.
func (a *API) Network(g Guard, pages ...Pages) (http.Handler, error) {
	if g.Token.IsZero() {
		return nil, errors.New("admin: a network listener needs an admin token")
	}
	a.SetToken(g.Token)
	a.SetMetricsToken(g.MetricsToken)
	routes := as(func(r *http.Request) Caller {
		return Caller{Actor{Name: AdminTokenActor, Addr: r.RemoteAddr}, RoleAdmin}
	}, a.mux(readinessByName))
	return a.recovered(secure(g.wrap(&a.tokens, routes, a.flow, pages, a.refused()))), nil
}

// SetToken is the [Guard.Token] of the network face from now on. It has been checked
// with [CheckToken].
func (a *API) SetToken(token secret.Secret) { a.tokens.admin.Store(digestOf(token)) }

// SetMetricsToken is the [Guard.MetricsToken] of the network face from now on. It has
// been checked with [CheckToken].
func (a *API) SetMetricsToken(token secret.Secret) { a.tokens.metrics.Store(digestOf(token)) }

// Acts is the journal that the API's changes are written to, for what else is one.
func (a *API) Acts() *act.Journal { return a.acts }

// Wait returns when no act is under way, neither of a request nor of a consent in
// the browser, or with an error when ctx ends first. Acts outlive callers that
// leave: whoever closes the store or the audit log should stop serving, and then
// wait.
func (a *API) Wait(ctx context.Context) error { return a.acts.Wait(ctx) }

// handlerFunc is a route that returns its refusal instead of writing it, so
// that half an answer is never followed by another.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

func (h handlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		writeProblem(w, err)
	}
}

func (a *API) withStore(h handlerFunc) handlerFunc {
	if a.o.Store != nil {
		return h
	}
	return func(http.ResponseWriter, *http.Request) error {
		p := refuse(http.StatusServiceUnavailable, CodeNoStore, "there is no store yet")
		p.Hint = "jiragate serve makes it, and so does the first connection add; is JIRAGATE_DATA_DIR the right directory, or JIRAGATE_STORE the right place?"
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
				a.o.Logger.ErrorContext(r.Context(), "panic in the admin API", "method", r.Method, "stack", string(debug.Stack()),
					"hint", "a bug: report the stack and the program's version")
				writeProblem(w, refuse(http.StatusInternalServerError, CodeInternal, "internal error; the log has the stack"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
