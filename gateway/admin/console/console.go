package console

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/page"
	"jiragate/gateway/admin/signin"
	"jiragate/tokenstore/secret"
)

const (
	// base is the path of all pages.
	base = "/console/"
	// icon is what browsers ask for of their own accord, on every page of the listener.
	icon = "/favicon.ico"
	// live is what a page asks by itself, which doesn't count as somebody's doing.
	live = "GET /console/calls/live"
)

//go:embed all:templates
var templates embed.FS

// Options is what [New] needs.
type Options struct {
	// API answers requests with an admin.Caller in their context:
	// admin.API.InProcess.
	API http.Handler
	// Signin knows who a browser is. Its Show is set by New.
	Signin signin.Options
	// Reasons says what the codes of refusals mean, in a sentence each.
	Reasons map[string]string
	// PublicURL is where the public pages are, for links to them; empty means nowhere.
	PublicURL string
	// Secure says that browsers reach the console by https.
	Secure  bool
	Version string
	Region  string
	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger     // nil means none
}

// Console is the pages. It is safe for concurrent use.
type Console struct {
	o       Options
	signin  *signin.Signin
	pages   *page.Set
	streams streams
	mux     *http.ServeMux
}

// New makes the console.
func New(o Options) (*Console, error) {
	if o.API == nil {
		return nil, errors.New("console: API is needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Console{o: o}
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	if c.pages, err = page.New(files, base, functions(o.Reasons)); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	o.Signin.Show = c.showSignin
	if c.signin, err = signin.New(o.Signin); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c.mux = c.routes()
	return c, nil
}

// SetToken is the admin token that signs in from now on, where one does.
func (c *Console) SetToken(token secret.Secret) { c.signin.SetToken(token) }

// Serves reports whether a path is the console's.
func (c *Console) Serves(path string) bool {
	return path == "/" || path == icon || path+"/" == base || strings.HasPrefix(path, base)
}

func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page.Secure(w.Header())
	if c.o.Secure {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	c.mux.ServeHTTP(w, r)
}

// pageFunc makes one page. An error that it returns is shown instead.
type pageFunc func(v *visit) error

func (c *Console) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, base, http.StatusSeeOther)
	})
	mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, base, http.StatusSeeOther)
	})
	mux.HandleFunc(icon, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, base+"assets/icon.svg", http.StatusSeeOther)
	})
	mux.Handle("/console/assets/", c.pages.Assets())
	mux.Handle(signin.Path, c.signin)
	mux.Handle(signin.Path+"/", c.signin)
	mux.Handle(signin.SignOutPath, c.signin)

	show := func(path string, f pageFunc) { mux.Handle("GET "+path, c.visited(f)) }
	do := func(path string, f pageFunc) { mux.Handle("POST "+path, c.visited(checked(f))) }

	show("/console/{$}", overview)

	show("/console/connections", connections)
	show("/console/connect", newConnection)
	do("/console/connect", addConnection)
	show("/console/connections/{id}", connection)
	do("/console/connections/{id}/test", testConnection)
	do("/console/connections/{id}/disable", disableConnection)
	do("/console/connections/{id}/enable", enableConnection)
	do("/console/connections/{id}/consent", inviteAgain)
	do("/console/connections/{id}/credential", replaceCredential)
	do("/console/connections/{id}/remove", removeConnection)
	do("/console/connections/{id}/grant", grantConnection)

	show("/console/clients", clients)
	show("/console/add-client", newClient)
	do("/console/add-client", addClient)
	show("/console/clients/{name}", client)
	do("/console/clients/{name}/rotate", rotateToken)
	do("/console/clients/{name}/remove", removeClient)
	do("/console/clients/{name}/grant", grant)
	do("/console/clients/{name}/revoke", revoke)

	show("/console/calls", calls)
	mux.Handle(live, c.visited(liveCalls))
	show("/console/calls/{ref}", call)
	show("/console/calls/{ref}/proof", proof)

	show("/console/policy", policyInForce)
	show("/console/policy/explain", explain)
	show("/console/policy/history", policyHistory)
	show("/console/policy/history/{sha256}", policyKept)
	show("/console/policy/diff", policyDiff)

	show("/console/egress", egress)
	do("/console/egress/verify", verifyEgress)
	show("/console/reports", reports)
	do("/console/reports", makeReport)
	show("/console/audit", auditLog)

	mux.Handle("/", c.visited(unrouted))
	return mux
}

// unrouted tells of a page that there isn't, or not for the method.
func unrouted(v *visit) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		asked := &http.Request{Method: method, Host: v.r.Host, URL: v.r.URL}
		if _, pattern := v.mux.Handler(asked); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return &admin.Problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no page %q", v.r.URL.Path)}
	}
	v.w.Header().Set("Allow", strings.Join(allowed, ", "))
	return &admin.Problem{Status: http.StatusMethodNotAllowed, Detail: "this address is there for " + strings.Join(allowed, ", ") + " only", Hint: "nothing was done"}
}
