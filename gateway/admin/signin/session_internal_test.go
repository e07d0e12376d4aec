package signin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/tokenstore/secret"
)

func newSignin(t *testing.T) *Signin {
	t.Helper()
	s, err := New(Options{Token: secret.New("jga_0123456789abcdef0123456789abcdef"), Secure: true, Acts: &act.Journal{},
		Show: func(http.ResponseWriter, *http.Request, Page) {}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// with is a request of the browser that has the key of a session.
func with(s *Signin, id string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/console/", nil)
	r.AddCookie(&http.Cookie{Name: s.cookieName(cookieSession), Value: id})
	return r
}

func person(n int) identity {
	return identity{actor: fmt.Sprint("operator:oidc:", n), name: "somebody", role: admin.RoleViewer}
}

func TestSessionsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		each  time.Duration // between requests
		use   bool
		lasts time.Duration // from the sign-in to the last request that is served
	}{
		"never used":        {time.Minute, false, 29 * time.Minute},
		"always used":       {29 * time.Minute, true, 12*time.Hour - 24*time.Minute}, // the last multiple of 29 minutes
		"used every minute": {time.Minute, true, 12*time.Hour - time.Minute},
		"used too rarely":   {30 * time.Minute, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSignin(t)
				id := s.sessions.begin(person(1))
				began := time.Now()
				var last time.Duration
				for {
					time.Sleep(test.each)
					look := s.Peek
					if test.use {
						look = s.Session
					}
					is, ok := look(with(s, id))
					if !ok {
						break
					}
					last = time.Since(began)
					end := began.Add(12 * time.Hour)
					if idle := time.Now().Add(30 * time.Minute); test.use && idle.Before(end) {
						end = idle
					} else if !test.use {
						end = began.Add(30 * time.Minute)
					}
					if !is.Expires.Equal(end) || !is.Since.Equal(began) || is.Since.Location() != time.UTC || is.Expires.Location() != time.UTC {
						t.Fatalf("after %s: since %s, expires %s, want %s", last, is.Since, is.Expires, end)
					}
				}
				if last != test.lasts {
					t.Errorf("it lasted %s, want %s", last, test.lasts)
				}
				if len(s.sessions.byID) != 0 {
					t.Error("it is still remembered")
				}
			})
		})
	}
}

func TestTheLeastRecentlyUsedGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSignin(t)
		there := func(id string) bool { _, ok := s.sessions.find(id, false); return ok }
		var ids []string
		for range maxEach {
			ids = append(ids, s.sessions.begin(person(1)))
			time.Sleep(time.Second)
		}
		other := s.sessions.begin(person(2))
		s.Session(with(s, ids[0])) // used: the second is the one that waits longest
		ids = append(ids, s.sessions.begin(person(1)))
		for i, id := range ids {
			if there(id) != (i != 1) {
				t.Errorf("session %d of the actor: there %v", i, there(id))
			}
		}
		if !there(other) {
			t.Error("that of another actor went")
		}
		for i := range 2 * maxSessions {
			time.Sleep(time.Millisecond)
			s.Session(with(s, other))
			s.sessions.begin(person(100 + i))
		}
		if n := len(s.sessions.byID); n != maxSessions || !there(other) || there(ids[0]) {
			t.Errorf("%d sessions, that in use is there: %v, the one that isn't: %v", n, there(other), there(ids[0]))
		}
		time.Sleep(maxIdle)
		s.sessions.begin(person(1))
		if n := len(s.sessions.byID); n != 1 {
			t.Errorf("%d sessions, of which all but one have ended", n)
		}
	})
}

func TestKeysOfSessions(t *testing.T) {
	s := newSignin(t)
	id := s.sessions.begin(person(1))
	for _, key := range []string{"", id[1:], id + "A", strings.ToUpper(id), randomToken(), "x"} {
		if _, ok := s.Session(with(s, key)); ok {
			t.Errorf("key %q opens the session", key)
		}
	}
	plain := httptest.NewRequest(http.MethodGet, "/console/", nil)
	plain.AddCookie(&http.Cookie{Name: cookieSession, Value: id})
	if _, ok := s.Session(plain); ok {
		t.Error("a cookie that another host can set opens the session")
	}
	for key := range s.sessions.byID {
		if strings.Contains(id, string(key[:])) {
			t.Error("the key itself is kept")
		}
	}
}

func TestCheckCSRF(t *testing.T) {
	s := newSignin(t)
	id := s.sessions.begin(person(1))
	is, _ := s.Session(with(s, id))
	const form = "application/x-www-form-urlencoded"
	for name, test := range map[string]struct {
		target, body, kind string
		want               error
	}{
		"its own":            {"/console/x", "csrf=" + is.CSRF, form, nil},
		"none":               {"/console/x", "", form, ErrCSRF},
		"empty":              {"/console/x", "csrf=", form, ErrCSRF},
		"another":            {"/console/x", "csrf=" + randomToken(), form, ErrCSRF},
		"in the query":       {"/console/x?csrf=" + is.CSRF, "", form, ErrCSRF},
		"not a form":         {"/console/x", "csrf=" + is.CSRF, "text/plain", ErrCSRF},
		"a broken form":      {"/console/x", "csrf=" + is.CSRF + "&%zz", form, ErrCSRF},
		"key of the session": {"/console/x", "csrf=" + id, form, ErrCSRF},
	} {
		r := httptest.NewRequest(http.MethodPost, test.target, strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		if err := s.CheckCSRF(r); err != ErrNoSession {
			t.Errorf("%s, without a session: %v", name, err)
		}
		r = httptest.NewRequest(http.MethodPost, test.target, strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		r.AddCookie(&http.Cookie{Name: s.cookieName(cookieSession), Value: id})
		if err := s.CheckCSRF(r); err != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
