package signin

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"jiragate/gateway/admin"
)

// start sends the browser to the provider.
func (s *Signin) start(w http.ResponseWriter, r *http.Request) {
	to := destination(r.URL.Query().Get(FieldTo))
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	d, err := s.provider.discover(ctx)
	if err != nil {
		s.refuse(w, r, to, providerUnavailable(whyNot(err)))
		return
	}
	state := randomToken()
	f := flow{
		browser:  sha256.Sum256([]byte(s.mark(w, r))),
		nonce:    randomToken(),
		verifier: oauth2.GenerateVerifier(),
		to:       to,
	}
	s.pending.put(s.o.Now(), state, host(r.RemoteAddr), f)
	w.Header().Set("Location", s.provider.authorizationURL(d, state, f))
	w.WriteHeader(http.StatusSeeOther)
}

// callback is where the provider sends the browser back to.
func (s *Signin) callback(w http.ResponseWriter, r *http.Request) {
	answer, ok := once(r.URL.RawQuery)
	if !ok {
		s.refuse(w, r, home, stateUnknown())
		return
	}
	// Taken before anything else is looked at: nobody gets a second try.
	f, ok := s.pending.take(s.o.Now(), answer.Get("state"))
	if !ok || !s.isFrom(r, f.browser) {
		s.refuse(w, r, home, stateUnknown())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	who, failed := s.identify(ctx, answer, f)
	switch {
	case failed.code != "":
		s.refuse(w, r, f.to, failed)
	case who.role == admin.RoleNone:
		s.refuse(w, r, f.to, noRole(who))
	default:
		s.admit(w, r, f.to, who)
	}
}

// identify finds out whom the answer of the provider is about.
func (s *Signin) identify(ctx context.Context, answer url.Values, f flow) (identity, failure) {
	d, err := s.provider.discover(ctx)
	if err != nil {
		return identity{}, providerUnavailable(whyNot(err))
	}
	if iss, given := answer["iss"]; given && iss[0] != s.provider.o.Issuer || !given && d.issParam { // RFC 9207 section 2.4
		return identity{}, identityInvalid("the answer is not of this provider (iss)")
	}
	if code, given := answer["error"]; given {
		why := knownCode(code[0])
		if why == "" {
			why = "an error without a standard code"
		}
		return identity{}, providerRefused("it answered " + why)
	}
	code := answer.Get("code")
	if code == "" {
		return identity{}, providerRefused("its answer has no code")
	}
	said, failed := s.provider.exchange(ctx, d, code, f)
	if failed.code != "" {
		return identity{}, failed
	}
	return said.identity(&s.provider.o), failure{}
}

func (s *Signin) isFrom(r *http.Request, browser digest) bool {
	is := s.cookie(r, cookieWay)
	got := sha256.Sum256([]byte(is))
	return is != "" && equal(string(got[:]), string(browser[:]))
}

// once parses a query in which no name comes twice (RFC 6749 section 3.1).
func once(raw string) (url.Values, bool) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, false
	}
	for _, values := range q {
		if len(values) != 1 {
			return nil, false
		}
	}
	return q, true
}
