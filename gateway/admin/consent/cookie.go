package consent

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// cookieAge is how long the cookie lasts, in seconds: on the way to the
// authorization server and back, and then before the choice of a site.
const cookieAge = int(2 * waitFor / 1e9)

// cookieName: with the prefix, browsers let no other host set the cookie, and send
// it over https only (RFC 6265bis section 4.1.3.2). Over plain http on this machine
// they would refuse it.
func (f *Flow) cookieName() string {
	if f.secure {
		return "__Host-jiragate-consent"
	}
	return "jiragate-consent"
}

// recognise tells which browser asks, by the cookie that it has.
func (f *Flow) recognise(r *http.Request) (browser digest, ok bool) {
	c, err := r.Cookie(f.cookieName())
	if err != nil || !isToken(c.Value) {
		return digest{}, false
	}
	return sha256.Sum256([]byte(c.Value)), true
}

// mark gives the browser a cookie to be recognised by. One that it has stays, so
// that two consents can be under way in two tabs.
func (f *Flow) mark(w http.ResponseWriter, r *http.Request) digest {
	value := randomToken()
	if c, err := r.Cookie(f.cookieName()); err == nil && isToken(c.Value) {
		value = c.Value
	}
	http.SetCookie(w, &http.Cookie{
		Name:     f.cookieName(),
		Value:    value,
		Path:     "/",
		MaxAge:   cookieAge,
		Secure:   f.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // it must come along when the authorization server sends the browser back
	})
	return sha256.Sum256([]byte(value))
}

// from reports whether the request comes from this browser.
func (f *Flow) from(r *http.Request, browser digest) bool {
	is, ok := f.recognise(r)
	return ok && subtle.ConstantTimeCompare(is[:], browser[:]) == 1
}
