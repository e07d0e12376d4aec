package signin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

// page is where somebody can sign in.
func (s *Signin) page(w http.ResponseWriter, r *http.Request) {
	to := destination(r.URL.Query().Get(FieldTo))
	if _, ok := s.Session(r); ok { // another tab has done it
		redirect(w, to)
		return
	}
	s.show(w, r, to, failure{status: http.StatusOK})
}

// byToken signs in whoever has the admin token.
func (s *Signin) byToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.refuse(w, r, home, formExpired())
		return
	}
	to := destination(r.PostForm.Get(FieldTo))
	if !s.formIsOurs(r) {
		s.refuse(w, r, to, formExpired())
		return
	}
	whom, known := "addr "+host(r.RemoteAddr), false
	if id := s.known(r); id != "" {
		whom, known = "browser "+id, true
	}
	// The turn is taken before the look, so that many at once get no more of them.
	if wait := s.tries.take(whom, known); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
		s.refuse(w, r, to, tooManyTries(wait))
		return
	}
	got := sha256.Sum256([]byte(strings.TrimSpace(r.PostForm.Get(FieldToken)))) // pasted with its newline
	if subtle.ConstantTimeCompare(got[:], s.want.Load()[:]) != 1 {
		s.refuse(w, r, to, tokenWrong())
		return
	}
	s.tries.giveBack(whom, known)
	if !known {
		s.know(w)
	}
	s.admit(w, r, to, identity{actor: admin.AdminTokenActor, name: "admin token", role: admin.RoleAdmin})
}

// SetToken is [Options.Token] from now on. Who has signed in with the one before is
// signed out. It changes nothing where nobody signs in with it.
func (s *Signin) SetToken(token secret.Secret) {
	if s.o.Token.IsZero() || token.IsZero() {
		return
	}
	s.setWant(token)
	s.sessions.endAll(func(who identity) bool { return who.actor == admin.AdminTokenActor })
}

func (s *Signin) setWant(token secret.Secret) {
	d := digest(sha256.Sum256([]byte(token.Reveal())))
	s.want.Store(&d)
}

// signOut ends the session of a browser, whether that can be recorded or not.
func (s *Signin) signOut(w http.ResponseWriter, r *http.Request) {
	is, ok := s.Session(r)
	if ok && s.CheckCSRF(r) != nil {
		s.refuse(w, r, home, forged(is.Caller.Actor.Name))
		return
	}
	s.sessions.end(s.sessionID(r))
	s.set(w, cookieSession, "", -1)
	redirect(w, Path)
	if !ok {
		return
	}
	if begun, err := s.trace.begin(r, operationSignOut, is.Caller.Actor.Name); err == nil {
		begun.End(http.StatusSeeOther, "")
	}
}
