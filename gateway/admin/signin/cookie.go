package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

const (
	// onTheWay is how long a browser is recognised before it is signed in.
	onTheWay = time.Hour
	// knownFor is how long a browser that had the admin token has turns of its own.
	knownFor = 30 * 24 * time.Hour
)

// digest is the SHA-256 of a random value.
type digest = [sha256.Size]byte

// randomToken is 256 random bits in base64url.
func randomToken() string {
	var b [32]byte
	rand.Read(b[:]) // as above
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// isToken reports whether v can be of randomToken.
func isToken(v string) bool {
	if len(v) != base64.RawURLEncoding.EncodedLen(32) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(v)
	return err == nil
}

// Cookies: which browser is on its way, who is signed in, and which browser had the
// token.
const (
	cookieWay     = "jiragate-signin"
	cookieSession = "jiragate-session"
	cookieKnown   = "jiragate-known"
)

// cookieName: with the prefix, browsers let no other host set the cookie, and send
// it over https only (RFC 6265bis section 4.1.3.2). Over plain http on this machine
// they would refuse it.
func (s *Signin) cookieName(name string) string {
	if s.o.Secure {
		return "__Host-" + name
	}
	return name
}

// set gives the browser a cookie for some time: 0 means until it is closed, less
// that it be removed.
func (s *Signin) set(w http.ResponseWriter, name, value string, lasts time.Duration) {
	age := int(lasts / time.Second)
	if lasts < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name:     s.cookieName(name),
		Value:    value,
		Path:     "/",
		MaxAge:   age,
		Secure:   s.o.Secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // it must come along when the provider sends the browser back
	})
}

// cookie is the value of one that has the form of a randomToken, or empty.
func (s *Signin) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(name))
	if err != nil || !isToken(c.Value) {
		return ""
	}
	return c.Value
}

// mark gives a browser a cookie to be recognised by on its way. One that it has
// stays, so that two tabs can be on their way.
func (s *Signin) mark(w http.ResponseWriter, r *http.Request) (browser string) {
	browser = s.cookie(r, cookieWay)
	if browser == "" {
		browser = randomToken()
	}
	s.set(w, cookieWay, browser, onTheWay)
	return browser
}

func (s *Signin) forget(w http.ResponseWriter) { s.set(w, cookieWay, "", -1) }

// formToken is what a form from this browser must bring: without it, a foreign page
// could sign somebody's browser in as somebody else.
func (s *Signin) formToken(browser string) string { return s.seal("form", browser) }

func (s *Signin) formIsOurs(r *http.Request) bool {
	browser := s.cookie(r, cookieWay)
	return browser != "" && equal(r.PostForm.Get(FieldForm), s.formToken(browser))
}

// know gives a browser that had the token a cookie to be known by.
func (s *Signin) know(w http.ResponseWriter) {
	id := randomToken()
	s.set(w, cookieKnown, id+"."+s.seal("known", id), knownFor)
}

// known is the id of a browser that had the token before, or empty.
func (s *Signin) known(r *http.Request) string {
	c, err := r.Cookie(s.cookieName(cookieKnown))
	if err != nil {
		return ""
	}
	id, sealed, _ := strings.Cut(c.Value, ".")
	if !isToken(id) || !equal(sealed, s.seal("known", id)) {
		return ""
	}
	return id
}

// seal is what only this process can make of value, for one purpose.
func (s *Signin) seal(purpose, value string) string {
	m := hmac.New(sha256.New, s.key[:])
	m.Write([]byte(purpose + "\x00" + value)) // never fails
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// equal compares digests, so that neither lengths nor a common prefix show in the
// time it takes.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
