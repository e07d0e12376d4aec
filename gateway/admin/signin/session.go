package signin

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"jiragate/gateway/admin"
)

// Bounds of sessions.
const (
	maxIdle     = 30 * time.Minute
	maxAge      = 12 * time.Hour
	maxSessions = 1000
	maxEach     = 20 // of one actor
)

// Errors of [Signin.CheckCSRF].
var (
	ErrNoSession = errors.New("nobody is signed in: sign in again")
	ErrCSRF      = errors.New("the form is not one of this session: load its page again")
)

// Session is somebody who is signed in.
type Session struct {
	// Caller is who it is, and where the request at hand comes from.
	Caller admin.Caller
	// Name is for a greeting. People choose it themselves: never decide by it.
	Name string
	// Since is when they signed in, and Expires when the session ends unless it is
	// used before; both in UTC.
	Since, Expires time.Time
	// CSRF is the value of [FieldCSRF] in the forms of this session. It belongs into
	// pages, and nowhere else.
	CSRF string
}

// Session returns who the browser is of that sends r, and false if nobody is signed
// in. The session counts as used: for what a page asks by itself, see [Signin.Peek].
func (s *Signin) Session(r *http.Request) (*Session, bool) { return s.session(r, true) }

// Peek is Session for requests that a page makes by itself, such as those for live
// figures: they don't keep a session alive in front of which nobody sits.
func (s *Signin) Peek(r *http.Request) (*Session, bool) { return s.session(r, false) }

func (s *Signin) session(r *http.Request, use bool) (*Session, bool) {
	found, ok := s.sessions.find(s.sessionID(r), use)
	if !ok {
		return nil, false
	}
	return &Session{
		Caller:  admin.Caller{Actor: admin.Actor{Name: found.who.actor, Addr: r.RemoteAddr}, Role: found.who.role},
		Name:    found.who.name,
		Since:   found.since.UTC(),
		Expires: found.expires().UTC(),
		CSRF:    found.csrf,
	}, true
}

// CheckCSRF returns an error unless r has [FieldCSRF] of its own session in its form:
// [ErrNoSession] or [ErrCSRF]. It parses the form, which must be urlencoded; whoever
// calls it bounds the body.
func (s *Signin) CheckCSRF(r *http.Request) error {
	found, ok := s.sessions.find(s.sessionID(r), true)
	if !ok {
		return ErrNoSession
	}
	if err := r.ParseForm(); err != nil || !equal(r.PostForm.Get(FieldCSRF), found.csrf) {
		return ErrCSRF
	}
	return nil
}

// give hands a browser the key of its session.
func (s *Signin) give(w http.ResponseWriter, id string) { s.set(w, cookieSession, id, 0) }

// sessionID is the key that a browser brings, or empty.
func (s *Signin) sessionID(r *http.Request) string { return s.cookie(r, cookieSession) }

type session struct {
	who         identity
	csrf        string
	since, used time.Time
}

func (s *session) expires() time.Time {
	if end := s.since.Add(maxAge); end.Before(s.used.Add(maxIdle)) {
		return end
	}
	return s.used.Add(maxIdle)
}

// sessions are those that are under way, by the digest of their keys. The least
// recently used makes room.
type sessions struct {
	now func() time.Time

	mu   sync.Mutex
	byID map[digest]*session
}

// begin returns the key of a new session.
func (t *sessions) begin(who identity) (id string) {
	id = randomToken()
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for key, s := range t.byID {
		if !now.Before(s.expires()) {
			delete(t.byID, key)
		}
	}
	t.shrink(maxEach-1, func(s *session) bool { return s.who.actor == who.actor })
	t.shrink(maxSessions-1, func(*session) bool { return true })
	t.byID[sha256.Sum256([]byte(id))] = &session{who: who, csrf: randomToken(), since: now, used: now}
	return id
}

// endAll ends the sessions of those that whose names.
func (t *sessions) endAll(whose func(identity) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, s := range t.byID {
		if whose(s.who) {
			delete(t.byID, key)
		}
	}
}

// shrink leaves at most n of those that count. One at a time comes, so one at most
// goes.
func (t *sessions) shrink(n int, counts func(*session) bool) {
	var oldest digest
	var used time.Time
	have := 0
	for key, s := range t.byID {
		if !counts(s) {
			continue
		}
		if have++; have == 1 || s.used.Before(used) {
			oldest, used = key, s.used
		}
	}
	if have > n {
		delete(t.byID, oldest)
	}
}

func (t *sessions) find(id string, use bool) (session, bool) {
	if id == "" {
		return session{}, false
	}
	key := sha256.Sum256([]byte(id))
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.byID[key]
	now := t.now()
	switch {
	case !ok:
		return session{}, false
	case !now.Before(s.expires()):
		delete(t.byID, key)
		return session{}, false
	}
	if use {
		s.used = now
	}
	return *s, true
}

// end ends a session.
func (t *sessions) end(id string) {
	if id == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byID, sha256.Sum256([]byte(id)))
}
