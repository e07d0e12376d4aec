package consent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
)

// lastElement is how a redirect URL ends; the other paths are beside it.
const lastElement = "callback"

// The paths that a Flow serves. In front of the listener there may be a proxy that
// adds a prefix, so pages name each other by their last element.
const (
	startPath    = "/oauth/start"
	callbackPath = "/oauth/" + lastElement
	sitePath     = "/oauth/site"
	stylePath    = "/oauth/style.css"
)

// Bounds of the work that visitors cause.
const (
	maxVisits       = 32 // at once
	maxVisitsEach   = 4  // of one connection, whose Jira may be slow
	maxQuery        = 8 << 10
	maxForm         = 4 << 10
	formTimeout     = 5 * time.Second // for the body of the one form
	beginTimeout    = 20 * time.Second
	finishTimeout   = time.Minute
	testTimeout     = 30 * time.Second
	responseTimeout = beginTimeout + finishTimeout + testTimeout
)

// Operation is the name that a consent has in audit records.
const Operation = "admin.connection.consented"

// Consenter asks for consents: an oauth.Manager does.
type Consenter interface {
	BeginConsent(ctx context.Context, connection string) (*oauth.Consent, error)
	FinishConsent(ctx context.Context, c *oauth.Consent, answer url.Values) (*oauth.Granted, error)
	Connect(ctx context.Context, g *oauth.Granted, site oauth.Site) error
}

// Store is what a Flow needs of tokenstore.Store.
type Store interface {
	Directory() *tokenstore.Directory
	Invite(ctx context.Context, i tokenstore.Invitation) error
	Invitation(ctx context.Context, connection string) (tokenstore.Invitation, error)
	WithdrawInvitation(ctx context.Context, connection string, token [32]byte) error
}

// Tested is what came of the first call over a connection.
type Tested struct {
	OK      bool
	Account string // whom Jira takes the gateway for
	Reason  string // why it is not OK, for the customer
}

// Options is what [New] needs.
type Options struct {
	Store Store
	// Consenter is nil where consents can't be asked for; the links then say so.
	Consenter Consenter
	// RedirectURL is what browsers come back to: it ends in /oauth/callback. Empty is
	// like no Consenter.
	RedirectURL string
	// Test makes a first call.
	Test   func(ctx context.Context, connection string) (Tested, error)
	Acts   *act.Journal
	Now    func() time.Time
	Logger *slog.Logger
}

// Flow serves the consents in the browser. It is safe for concurrent use.
type Flow struct {
	o       Options
	host    string // of the redirect URL
	secure  bool   // the redirect URL is https
	csrf    *http.CrossOriginProtection
	visits  chan struct{}
	started shelf[started]
	choices shelf[choice]

	mu   sync.Mutex
	each map[string]int // visits under way, by connection
}

// CheckRedirectURL reports whether a redirect URL can be used.
func CheckRedirectURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || !strings.HasSuffix(s, callbackPath) || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("the redirect URL must be https://HOST[/PATH]" + callbackPath)
	}
	return nil
}

// New makes a Flow. The error is about the redirect URL.
func New(o Options) (*Flow, error) {
	f := &Flow{
		o:      o,
		csrf:   http.NewCrossOriginProtection(),
		visits: make(chan struct{}, maxVisits),
		each:   make(map[string]int),
	}
	if o.RedirectURL == "" {
		return f, nil
	}
	if err := CheckRedirectURL(o.RedirectURL); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.RedirectURL)
	if err != nil {
		return nil, err
	}
	f.host, f.secure = strings.ToLower(u.Hostname()), u.Scheme == "https"
	// A proxy in front may have put its own name for the listener into Host.
	return f, f.csrf.AddTrustedOrigin(u.Scheme + "://" + u.Host)
}

// Host is that of the redirect URL, in lower case, without a port; empty if there
// is none.
func (f *Flow) Host() string { return f.host }

// Serves reports whether a path is one of the Flow's.
func (f *Flow) Serves(path string) bool {
	switch path {
	case startPath, callbackPath, sitePath, stylePath:
		return true
	}
	return false
}

// ServeHTTP implements [http.Handler] for the paths that it Serves.
func (f *Flow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == stylePath {
		serveStyle(w, r)
		return
	}
	v := &visit{Flow: f, w: w, r: r, reference: audit.NewID()}
	if p := f.admit(v); p != nil {
		v.show(*p)
	}
}

// admit lets a visitor in if there is room. No page means that the answer is
// written.
func (f *Flow) admit(v *visit) *page {
	method, serve := http.MethodGet, (*visit).start
	switch v.r.URL.Path {
	case callbackPath:
		serve = (*visit).callback
	case sitePath:
		method, serve = http.MethodPost, (*visit).site
	}
	// Not even HEAD, which programs send to look whether a link is good.
	if v.r.Method != method {
		v.w.Header().Set("Allow", method)
		return new(wrongMethod())
	}
	if f.csrf.Check(v.r) != nil {
		return new(foreignForm())
	}
	// Before there is a place to take, so that none waits for a body.
	if method == http.MethodPost {
		v.receive()
	}
	select {
	case f.visits <- struct{}{}:
		defer func() { <-f.visits }()
	default:
		return new(busy())
	}
	// Without a connection there is no deadline to move.
	_ = http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(responseTimeout))
	return serve(v)
}

// occupy counts the visits about one connection. Where it returns false there are
// too many.
func (f *Flow) occupy(connection string) (leave func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.each[connection] >= maxVisitsEach {
		return nil, false
	}
	f.each[connection]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.each[connection]--; f.each[connection] == 0 {
			delete(f.each, connection)
		}
	}, true
}
