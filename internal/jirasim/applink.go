package jirasim

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Application links with OAuth 1.0a, as Data Center and Server offer them to
// consumers that sign with RSA-SHA1
// (https://developer.atlassian.com/server/jira/platform/oauth/).

const linkPath = "/plugins/servlet/oauth/"

// Lifetimes of Atlassian's tokens. A session handle can renew an access token for
// a month after its end; that is not simulated.
const (
	linkRequestLifetime = 10 * time.Minute
	linkAccessLifetime  = 157680000 * time.Second // five years
	linkSessionLifetime = 160272000 * time.Second
)

// links are the incoming application links, and the tokens that came of them.
type links struct {
	seed string
	user string // who approves
	now  func() time.Time

	mu        sync.Mutex
	serial    int
	consumers map[string]*rsa.PublicKey
	requests  map[string]*linkRequest // request token → its dance
	tokens    map[string]*linkToken
	nonces    map[string]time.Time // consumer and nonce → when it was seen
}

// linkRequest is a request token.
type linkRequest struct {
	consumer string
	callback string // "oob" for none
	expires  time.Time
	decided  bool
	verifier string // once approved
}

// linkToken is an access token.
type linkToken struct {
	consumer string
	expires  time.Time
}

func newLinks(o Options) *links {
	return &links{
		seed: o.Seed, user: o.Username, now: o.Now,
		consumers: make(map[string]*rsa.PublicKey), requests: make(map[string]*linkRequest),
		tokens: make(map[string]*linkToken), nonces: make(map[string]time.Time),
	}
}

// mint makes the next opaque token of a kind. l.mu is held.
func (l *links) mint(kind string) string {
	l.serial++
	return seededToken(l.seed, kind, l.serial)
}

// serveLinks answers the three legs, below /plugins/servlet/oauth/.
func (s *Sim) serveLinks(c *call) reply {
	switch c.method + " " + c.path[len(linkPath):] {
	case "POST request-token":
		return s.linkAnswer(c, s.links.requestToken)
	case "POST access-token":
		return s.linkAnswer(c, s.links.accessToken)
	case "GET authorize":
		return s.linkConsent(c.query)
	case "POST authorize":
		form, _ := url.ParseQuery(string(c.body))
		for name, values := range c.query {
			form[name] = append(form[name], values...)
		}
		return s.linkConsent(form)
	}
	return htmlReply(http.StatusNotFound, "Not found", "<h1>Not found</h1>")
}

// linkAnswer runs one of the two legs without a browser.
func (s *Sim) linkAnswer(c *call, leg func(*call) (url.Values, *oauthProblem)) reply {
	out, bad := leg(c)
	if bad != nil {
		p := s.linkRefusal(bad)
		p.body = []byte(url.Values{"oauth_problem": {bad.word}}.Encode())
		if len(bad.more) > 0 {
			p.body = append(p.body, "&"+bad.more.Encode()...)
		}
		p.header.Set("Content-Type", "text/plain;charset=UTF-8")
		return p
	}
	c.accepted = true
	return reply{http.StatusOK, http.Header{"Content-Type": {"text/plain;charset=UTF-8"}}, []byte(out.Encode())}
}

// linkRefusal is what a signed request that is no good is answered with. There
// are two challenges, for the filter that adds one to every 401 adds it here too.
func (s *Sim) linkRefusal(bad *oauthProblem) reply {
	p := htmlReply(http.StatusUnauthorized, "Unauthorized (401)", "<h1>Unauthorized (401)</h1><p>oauth_problem="+bad.word+"</p>")
	p.header.Add("WWW-Authenticate", s.challenge())
	parts := s.challenge() + `, oauth_problem="` + bad.word + `"`
	for name := range bad.more {
		parts += fmt.Sprintf(`, %s="%s"`, name, escape(bad.more.Get(name)))
	}
	p.header.Add("WWW-Authenticate", parts)
	return p
}

func (l *links) requestToken(c *call) (url.Values, *oauthProblem) {
	params, bad := oauthParams(c.header)
	if bad == nil {
		bad = needed(params, "oauth_callback")
	}
	if bad == nil {
		bad = l.validate(c.sent, c.body, params)
	}
	if bad != nil {
		return nil, bad
	}
	callback := params["oauth_callback"]
	if u, err := url.Parse(callback); callback != "oob" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return nil, problem("parameter_rejected", "oauth_parameters_rejected", "oauth_callback")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	token := l.mint("link-request")
	l.requests[token] = &linkRequest{consumer: params["oauth_consumer_key"], callback: callback, expires: l.now().Add(linkRequestLifetime)}
	return url.Values{"oauth_token": {token}, "oauth_token_secret": {l.mint("link-secret")}, "oauth_callback_confirmed": {"true"}}, nil
}

// linkConsent is the page on which a person allows or denies access, and what
// follows from it. A refusal is told by the verifier "denied".
func (s *Sim) linkConsent(form url.Values) reply {
	l := s.links
	decision := s.decision()
	if form.Has("approve") {
		decision = "accept"
	} else if form.Has("deny") {
		decision = "deny"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	token := form.Get("oauth_token")
	r := l.requests[token]
	if r == nil || r.decided || l.now().After(r.expires) {
		return htmlReply(http.StatusBadRequest, "Authorize", "<p>The request token is unknown, was used, or has expired.</p>")
	}
	if decision == "" {
		return htmlReply(http.StatusOK, "Authorize (simulated)", fmt.Sprintf(
			`<h1>Welcome to Jira</h1><p>The application <b>%s</b> would like to have read and write access to your data.</p>`+
				`<form method="post" action="%s"><input type="hidden" name="oauth_token" value="%s">`+
				`<button name="approve" value="Allow">Allow</button> <button name="deny" value="Deny">Deny</button></form>`,
			html.EscapeString(r.consumer), html.EscapeString(s.o.ContextPath+linkPath+"authorize"), html.EscapeString(token)))
	}
	r.decided = true
	verifier := "denied"
	if decision == "accept" {
		l.serial++
		r.verifier = base32.StdEncoding.EncodeToString(seededBytes(l.seed, "verifier", l.serial))[:6]
		verifier = r.verifier
	}
	if r.callback == "oob" {
		return htmlReply(http.StatusOK, "Authorize", "<p>Your verification code is <code>"+verifier+"</code></p>")
	}
	target, _ := url.Parse(r.callback) // it parsed when it came
	values := target.Query()
	values.Set("oauth_token", token)
	values.Set("oauth_verifier", verifier)
	target.RawQuery = values.Encode()
	return redirectReply(http.StatusFound, target.String())
}

func (l *links) accessToken(c *call) (url.Values, *oauthProblem) {
	params, bad := oauthParams(c.header)
	if bad == nil {
		bad = needed(params, "oauth_token", "oauth_verifier")
	}
	if bad == nil {
		bad = l.validate(c.sent, c.body, params)
	}
	if bad != nil {
		return nil, bad
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.requests[params["oauth_token"]]
	switch {
	case r == nil || r.consumer != params["oauth_consumer_key"]:
		return nil, problem("token_rejected")
	case l.now().After(r.expires):
		return nil, problem("token_expired")
	case !r.decided:
		return nil, problem("permission_unknown")
	case r.verifier == "":
		return nil, problem("permission_denied")
	case r.verifier != params["oauth_verifier"]:
		return nil, problem("token_rejected")
	}
	delete(l.requests, params["oauth_token"])
	return url.Values{
		"oauth_token":                    {l.issue(r.consumer)},
		"oauth_token_secret":             {l.mint("link-secret")},
		"oauth_expires_in":               {fmt.Sprint(int(linkAccessLifetime.Seconds()))},
		"oauth_session_handle":           {l.mint("link-session")},
		"oauth_authorization_expires_in": {fmt.Sprint(int(linkSessionLifetime.Seconds()))},
	}, nil
}

// issue makes an access token. l.mu is held.
func (l *links) issue(consumer string) string {
	token := l.mint("link-access")
	l.tokens[token] = &linkToken{consumer: consumer, expires: l.now().Add(linkAccessLifetime)}
	return token
}

// login judges a signed call: the token first, as Atlassian does.
func (l *links) login(c *call) (name string, bad *oauthProblem) {
	params, bad := oauthParams(c.header)
	if bad == nil {
		bad = needed(params, "oauth_token")
	}
	if bad != nil {
		return "", bad
	}
	l.mu.Lock()
	token := l.tokens[params["oauth_token"]]
	l.mu.Unlock()
	switch {
	case token == nil || token.consumer != params["oauth_consumer_key"]:
		return "", problem("token_rejected")
	case l.now().After(token.expires):
		return "", problem("token_expired")
	}
	return l.user, l.validate(c.sent, c.body, params)
}

// RegisterConsumer makes an incoming application link, as an administrator does
// with what the consumer shows: its key, and its public key as PEM (PKIX, RSA).
// Registering a key anew replaces its public key; tokens stay.
func (s *Sim) RegisterConsumer(key, publicKeyPEM string) error {
	block, _ := pem.Decode([]byte(publicKeyPEM))
	if key == "" || block == nil || block.Type != "PUBLIC KEY" {
		return errors.New("jirasim: register a consumer: there must be a key, and a public key in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("jirasim: register consumer %s: %w", key, err)
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("jirasim: register consumer %s: the public key is not RSA", key)
	}
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	s.links.consumers[key] = public
	return nil
}

// RemoveConsumer deletes an application link; false means there was none. Its
// tokens are no good until it is registered again.
func (s *Sim) RemoveConsumer(key string) bool {
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	_, ok := s.links.consumers[key]
	delete(s.links.consumers, key)
	return ok
}

// IssueLinkToken gives a registered consumer an access token, in the name of the
// service account.
func (s *Sim) IssueLinkToken(consumer string) (string, error) {
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	if s.links.consumers[consumer] == nil {
		return "", fmt.Errorf("jirasim: issue a token: no consumer %s is registered", consumer)
	}
	return s.links.issue(consumer), nil
}

// RevokeLinkToken withdraws an access token of an application link, as a user
// does in the profile; false means there was none.
func (s *Sim) RevokeLinkToken(token string) bool {
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	_, ok := s.links.tokens[token]
	delete(s.links.tokens, token)
	return ok
}
