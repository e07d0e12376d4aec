package signin

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/tokenstore/secret"
)

// Paths that are served, and the names of fields in the forms.
const (
	Path         = "/console/signin"
	OIDCPath     = "/console/signin/oidc"
	CallbackPath = "/console/signin/callback"
	SignOutPath  = "/console/signout"

	FieldToken = "token" // the admin token
	FieldForm  = "form"  // Page.Form
	FieldTo    = "to"    // Page.To; the parameter of OIDCPath and Path, too
	FieldCSRF  = "csrf"  // Session.CSRF
)

// maxForm is more than a form here needs, in bytes.
const maxForm = 16 << 10

// Options is what [New] needs. Provider or Token is needed, Show and Acts are.
type Options struct {
	// Provider is who knows people by OpenID Connect; nil means nobody does.
	Provider *Provider
	// Token is the admin token; empty means that nobody signs in with it.
	Token secret.Secret
	// Secure says that browsers reach the console by https.
	Secure bool
	// Acts puts sign-ins on record.
	Acts *act.Journal
	// Show writes the sign-in page, with the status of the Page. Header fields about
	// caches and referrers are set; what else the page needs is its own business.
	Show   func(w http.ResponseWriter, r *http.Request, p Page)
	Now    func() time.Time // nil means time.Now
	Logger *slog.Logger     // nil means none
}

// Page is what the sign-in page must show.
type Page struct {
	// Status is the HTTP status to answer with.
	Status int
	// Code is a stable reason why somebody isn't signed in, Problem the same for a
	// person, and Hint what to do next. All are empty at first.
	Code, Problem, Hint string
	// Token says that there is a form for the admin token: a POST to [Path] with
	// [FieldToken], [FieldForm] and [FieldTo].
	Token bool
	// Provider is the name for the button that leads to OIDC; empty means no button.
	Provider string
	OIDC     string // where the button leads to: OIDCPath with its parameter
	Form     string // the value of FieldForm
	To       string // where to go afterwards: a path below /console/
}

// Signin knows who is signed in. It is safe for concurrent use.
type Signin struct {
	o        Options
	provider *provider              // nil without OIDC
	key      [32]byte               // of form tokens and of known browsers, for this process
	want     atomic.Pointer[digest] // of the admin token
	sessions sessions
	pending  shelf
	tries    tries
	trace    trace
	mux      *http.ServeMux
}

// New makes a Signin. It asks the provider nothing yet.
func New(o Options) (*Signin, error) {
	switch {
	case o.Acts == nil || o.Show == nil:
		return nil, errors.New("signin: Acts and Show are needed")
	case o.Provider == nil && o.Token.IsZero():
		return nil, errors.New("signin: nobody could sign in: give a provider, an admin token, or both")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Signin{
		o:        o,
		sessions: sessions{now: o.Now, byID: map[digest]*session{}},
		tries:    tries{now: o.Now, byWhom: map[string]time.Time{}},
		trace:    trace{acts: o.Acts, logger: o.Logger, now: o.Now},
		mux:      http.NewServeMux(),
	}
	s.setWant(o.Token)
	rand.Read(s.key[:]) // never fails: crypto/rand ends the process instead
	if o.Provider != nil {
		p, err := newProvider(*o.Provider, o.Secure, o.Now)
		if err != nil {
			return nil, fmt.Errorf("signin: %w", err)
		}
		s.provider = p
		// Exactly GET: a HEAD must not use up a state.
		s.mux.HandleFunc(OIDCPath, only(http.MethodGet, s.start))
		s.mux.HandleFunc(CallbackPath, only(http.MethodGet, s.callback))
	}
	s.mux.HandleFunc("GET "+Path, s.page)
	if !o.Token.IsZero() {
		s.mux.HandleFunc("POST "+Path, s.byToken)
	}
	s.mux.HandleFunc("POST "+SignOutPath, s.signOut)
	return s, nil
}

func only(method string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			http.Error(w, "use "+method, http.StatusMethodNotAllowed)
			return
		}
		h(w, r)
	}
}

// Serves reports whether path is one of its own.
func (s *Signin) Serves(path string) bool {
	return path == Path || strings.HasPrefix(path, Path+"/") || path == SignOutPath
}

func (s *Signin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address of the callback holds a code
	if r.Body != nil {
		r = r.WithContext(r.Context()) // a copy: a handler may not change a request
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	s.mux.ServeHTTP(w, r)
}

// show writes the page, with why nobody is signed in.
func (s *Signin) show(w http.ResponseWriter, r *http.Request, to string, f failure) {
	p := Page{
		Status:  f.status,
		Code:    f.code,
		Problem: f.problem,
		Hint:    f.hint,
		Token:   !s.o.Token.IsZero(),
		To:      to,
		Form:    s.formToken(s.mark(w, r)),
	}
	if s.provider != nil {
		p.Provider, p.OIDC = s.provider.o.Name, withTo(OIDCPath, to)
	}
	s.o.Show(w, r, p)
}

// refuse puts a failure on record, and shows it.
func (s *Signin) refuse(w http.ResponseWriter, r *http.Request, to string, f failure) {
	s.trace.refused(r, f)
	s.show(w, r, to, f)
}

// admit begins a session for somebody, on record, and sends the browser on its way.
func (s *Signin) admit(w http.ResponseWriter, r *http.Request, to string, who identity) {
	begun, err := s.trace.begin(r, operationSignIn, who.actor)
	if err != nil {
		s.show(w, r, to, unrecorded())
		return
	}
	s.sessions.end(s.sessionID(r)) // the one that this browser had
	s.give(w, s.sessions.begin(who))
	s.forget(w) // what it was recognised by on the way
	redirect(w, to)
	begun.End(http.StatusSeeOther, "")
}

// redirect sends the browser to a path of this origin. It is written as it is:
// http.Redirect cleans paths, which are checked already.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
