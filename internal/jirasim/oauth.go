package jirasim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// grantRules are how an authorization server keeps its grants.
type grantRules struct {
	prefix   string        // of its tokens' kinds, so that two servers share none
	code     time.Duration // life of an authorization code
	access   time.Duration // life of an access token
	leeway   time.Duration // how long a replaced refresh token is still good; negative for none
	idle     time.Duration // life of a grant since the last refresh
	absolute time.Duration // life of a grant since the consent; 0 for no end
	offline  string        // the scope that gives a refresh token; empty: every grant has one
	bound    bool          // a refresh must name the redirect URI of the consent
}

// Tokens are what a grant hands out.
type Tokens struct {
	AccessToken  string
	RefreshToken string // on Cloud empty without the scope offline_access
	Expiry       time.Time
	Scope        string // space separated
}

// TokenStats counts what a token endpoint was asked for.
type TokenStats struct {
	Requests  int // all
	Exchanges int // codes turned into tokens
	Refreshes int // refresh tokens turned into tokens, Reuses included
	Reuses    int // replaced refresh tokens presented within the leeway
	Breaches  int // replaced refresh tokens presented after it: the family died
	Refused   int // invalid_grant, Breaches included
	BadClient int // invalid_client
	Revoked   int // grants ended at the revocation endpoint (Data Center)
}

// grants is an authorization server's memory: consents, and the family of
// tokens that grew from each.
type grants struct {
	rules grantRules
	seed  string
	now   func() time.Time

	mu      sync.Mutex
	serial  int
	codes   map[string]*authorisation
	access  map[string]*accessToken
	refresh map[string]*refreshToken
	stats   TokenStats
}

// authorisation is a consent whose code waits to be exchanged.
type authorisation struct {
	scopes      []string
	redirectURI string
	challenge   string // PKCE; empty if none was sent
	method      string // S256 or plain
	expires     time.Time
	family      *family // set once the code was used
}

type family struct {
	scopes      []string
	redirectURI string // of the consent; empty: any
	consented   time.Time
	refreshed   time.Time
	dead        bool
}

type accessToken struct {
	family  *family
	expires time.Time
}

type refreshToken struct {
	family   *family
	replaced time.Time // zero while current
}

func newGrants(o Options, r grantRules) *grants {
	return &grants{
		rules: r, seed: o.Seed, now: o.Now,
		codes: make(map[string]*authorisation), access: make(map[string]*accessToken), refresh: make(map[string]*refreshToken),
	}
}

// mint makes the next opaque token of a kind. g.mu is held.
func (g *grants) mint(kind string) string {
	g.serial++
	return seededToken(g.seed, g.rules.prefix+kind, g.serial)
}

// seededBytes are 32 bytes that look random and are the same in each run.
func seededBytes(seed, kind string, serial int) []byte {
	mac := hmac.New(sha256.New, []byte(seed))
	fmt.Fprintf(mac, "%s\x00%d", kind, serial)
	return mac.Sum(nil)
}

// seededToken is long and in base64url, as real tokens are.
func seededToken(seed, kind string, serial int) string {
	return fmt.Sprintf("sim-%s-%d.%s", kind, serial, base64.RawURLEncoding.EncodeToString(seededBytes(seed, kind, serial)))
}

// grow issues a new pair of tokens in a family. g.mu is held.
func (g *grants) grow(f *family) Tokens {
	now := g.now()
	f.refreshed = now
	t := Tokens{AccessToken: g.mint("access"), Expiry: now.Add(g.rules.access), Scope: strings.Join(f.scopes, " ")}
	g.access[t.AccessToken] = &accessToken{family: f, expires: t.Expiry}
	if g.rules.offline == "" || slices.Contains(f.scopes, g.rules.offline) {
		t.RefreshToken = g.mint("refresh")
		g.refresh[t.RefreshToken] = &refreshToken{family: f}
	}
	return t
}

// authorise remembers a consent and returns its code.
func (g *grants) authorise(c authorisation) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.expires = g.now().Add(g.rules.code)
	code := g.mint("code")
	g.codes[code] = &c
	return code
}

// grantError is an invalid_grant; it says why.
type grantError string

func (e grantError) Error() string { return string(e) }

// What Atlassian says of a refresh token that is no good, whatever the reason.
const errRefreshToken = grantError("Unknown or invalid refresh token.")

// exchange turns a code into the first tokens of a family. A code is good once;
// a second use kills what came of the first (RFC 6749 section 4.1.2).
func (g *grants) exchange(code, redirectURI, verifier string) (Tokens, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, err := func() (Tokens, error) {
		c := g.codes[code]
		switch {
		case c == nil || g.now().After(c.expires):
			return Tokens{}, grantError("Invalid authorization code")
		case c.family != nil:
			c.family.dead = true
			return Tokens{}, grantError("Invalid authorization code")
		case redirectURI != c.redirectURI:
			return Tokens{}, grantError("The redirect_uri MUST match the registered callback URL for this application.")
		case !c.verifies(verifier):
			return Tokens{}, grantError("Failed to verify code verifier")
		}
		c.family = &family{scopes: c.scopes, redirectURI: c.redirectURI, consented: g.now()}
		return g.grow(c.family), nil
	}()
	g.count(err, &g.stats.Exchanges)
	return t, err
}

// verifies checks the PKCE verifier (RFC 7636 section 4.6).
func (c *authorisation) verifies(verifier string) bool {
	switch {
	case c.challenge == "":
		return true
	case c.method == "S256":
		sum := sha256.Sum256([]byte(verifier))
		return base64.RawURLEncoding.EncodeToString(sum[:]) == c.challenge
	default: // plain, also when no method was named
		return verifier == c.challenge
	}
}

// rotate turns a refresh token into new tokens and replaces it. A replaced one
// works until the leeway has passed; after that it is taken for stolen, and the
// whole family dies. redirectURI counts where the rules bind a refresh to it.
func (g *grants) rotate(token, redirectURI string) (Tokens, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, err := func() (Tokens, error) {
		old := g.refresh[token]
		now := g.now()
		if old == nil || old.family.dead || now.Sub(old.family.refreshed) > g.rules.idle ||
			g.rules.absolute > 0 && now.Sub(old.family.consented) > g.rules.absolute {
			return Tokens{}, errRefreshToken
		}
		if g.rules.bound && (redirectURI == "" || old.family.redirectURI != "" && redirectURI != old.family.redirectURI) {
			return Tokens{}, errRefreshToken
		}
		if !old.replaced.IsZero() {
			if g.rules.leeway < 0 || now.Sub(old.replaced) > g.rules.leeway {
				g.stats.Breaches++
				old.family.dead = true
				return Tokens{}, errRefreshToken
			}
			g.stats.Reuses++
		}
		for _, r := range g.refresh {
			if r.family == old.family && r.replaced.IsZero() {
				r.replaced = now
			}
		}
		return g.grow(old.family), nil
	}()
	g.count(err, &g.stats.Refreshes)
	return t, err
}

func (g *grants) count(err error, success *int) {
	if err != nil {
		g.stats.Refused++
	} else {
		*success++
	}
}

// Why a bearer token is not let in.
var errUnauthorised = errors.New("unknown, expired or revoked access token")

// scopes returns what an access token may do.
func (g *grants) scopes(token string) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.access[token]
	if a == nil || a.family.dead || !g.now().Before(a.expires) {
		return nil, errUnauthorised
	}
	return a.family.scopes, nil
}

// issue gives consent without a browser.
func (g *grants) issue(scopes []string) Tokens {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.grow(&family{scopes: slices.Clone(scopes), consented: g.now()})
}

// expireAccess ends all access tokens at once.
func (g *grants) expireAccess() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.access)
}

// revoke ends the grant that a token, of either kind, came from.
func (g *grants) revoke(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.refresh[token]; r != nil {
		r.family.dead = true
		return true
	}
	if a := g.access[token]; a != nil {
		a.family.dead = true
		return true
	}
	return false
}

// current says whether a refresh token is the one that its family would have
// the application use.
func (g *grants) current(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.refresh[token]
	return r != nil && r.replaced.IsZero() && !r.family.dead
}

// note counts something in the statistics.
func (g *grants) note(count func(*TokenStats)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	count(&g.stats)
}

func (g *grants) statistics() TokenStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats
}
