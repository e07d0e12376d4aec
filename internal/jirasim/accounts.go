package jirasim

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"sync"
)

// accounts are Data Center's logins: passwords with their CAPTCHA lock, personal
// access tokens, sessions.
type accounts struct {
	seed    string
	captcha int // bad passwords in a row before the lock; negative: never

	mu        sync.Mutex
	serial    int
	passwords map[string]string // login name → password
	failures  map[string]int
	pats      map[string]string // token → login name
	sessions  map[string]string // JSESSIONID → login name
}

// maxSessions bounds the sessions kept; beyond it all are forgotten.
const maxSessions = 4096

func newAccounts(o Options) *accounts {
	return &accounts{
		seed: o.Seed, captcha: o.CaptchaAfter,
		passwords: map[string]string{o.Username: o.Password},
		failures:  make(map[string]int),
		pats:      map[string]string{o.PAT: o.Username},
		sessions:  make(map[string]string),
	}
}

// loginReason is what Jira's Seraph says of a login in X-Seraph-LoginReason.
type loginReason string

const (
	loginNone   loginReason = ""                      // no credential was sent
	loginOK     loginReason = "OK"                    //
	loginFailed loginReason = "AUTHENTICATED_FAILED"  // plain wrong
	loginDenied loginReason = "AUTHENTICATION_DENIED" // CAPTCHA first; nothing was checked
)

// login is what Data Center makes of a request's credential.
type login struct {
	name   string
	reason loginReason
	// session says that a session may be started, which tokens of all kinds do
	// not get by default (atlassian.pats.invalidate.session.enabled).
	session  bool
	readOnly bool          // an OAuth 2.0 token of the scope READ
	problem  *oauthProblem // why a signed request is refused
}

// login judges passwords, personal access tokens and sessions.
func (a *accounts) login(h http.Header) login {
	a.mu.Lock()
	defer a.mu.Unlock()
	if token := bearer(h); token != "" {
		if name, ok := a.pats[token]; ok {
			return login{name: name, reason: loginOK}
		}
		return login{reason: loginFailed}
	}
	if name, password, ok := basicAuth(h); ok {
		if a.captcha >= 0 && a.failures[name] >= a.captcha {
			return login{name: name, reason: loginDenied}
		}
		want, known := a.passwords[name]
		if !known {
			return login{reason: loginFailed}
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 0 {
			a.failures[name]++
			return login{reason: loginFailed}
		}
		a.failures[name] = 0
		return login{name: name, reason: loginOK, session: true}
	}
	if h.Get("Authorization") != "" {
		return login{reason: loginFailed}
	}
	if cookie, err := (&http.Request{Header: h}).Cookie("JSESSIONID"); err == nil {
		if name, ok := a.sessions[cookie.Value]; ok {
			return login{name: name, reason: loginOK}
		}
	}
	return login{}
}

// newSession returns a session id; of nobody's, if name is empty.
func (a *accounts) newSession(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	id := fmt.Sprintf("%X", seededBytes(a.seed, "session", a.serial)[:16])
	if name != "" {
		if len(a.sessions) >= maxSessions {
			clear(a.sessions)
		}
		a.sessions[id] = name
	}
	return id
}

func (a *accounts) newPAT(u *user) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	token := seededToken(a.seed, "pat", a.serial)
	a.pats[token] = u.name
	return token
}

// SetPassword changes (or makes) a Data Center account's password. What the
// account has collected in bad passwords stays.
func (s *Sim) SetPassword(name, password string) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	s.accounts.passwords[name] = password
}

// RevokePAT withdraws a personal access token; false means there was none.
func (s *Sim) RevokePAT(token string) bool {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	_, ok := s.accounts.pats[token]
	delete(s.accounts.pats, token)
	return ok
}

// CaptchaLocked says whether an account must solve a CAPTCHA before Jira looks
// at its password again.
func (s *Sim) CaptchaLocked(name string) bool {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	return s.accounts.captcha >= 0 && s.accounts.failures[name] >= s.accounts.captcha
}

// UnlockCaptcha solves the CAPTCHA of an account, as a person does by logging in
// with a browser.
func (s *Sim) UnlockCaptcha(name string) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	s.accounts.failures[name] = 0
}
