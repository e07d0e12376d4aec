package signin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

// Everybody is the key of [Provider.Roles] for the role of everybody who signs in.
const Everybody = "*"

// discoveredFor is how long what a provider says of itself is believed.
const discoveredFor = time.Hour

// Provider is an OpenID provider, and what its people may do here.
type Provider struct {
	// Issuer is its URL, letter for letter as in its ID tokens: https, or http on
	// this machine.
	Issuer string
	// Name is for the button; empty means the host of the issuer.
	Name string
	// ClientID and ClientSecret are as registered there. Without a secret the gateway
	// is a public client (RFC 6749 section 2.1).
	ClientID     string
	ClientSecret secret.Secret
	// RedirectURL is where browsers come back to: it ends in [CallbackPath].
	RedirectURL string
	// Scopes are asked for; nil means openid, profile and email. openid is always.
	Scopes []string
	// RolesClaim names the claim with the roles, a string or a list of them; empty
	// means "roles". If there is none of exactly this name, dots lead into objects:
	// realm_access.roles.
	RolesClaim string
	// Roles says which values of that claim give which role; the highest counts.
	Roles map[string]admin.Role
	// Roots are whom its certificate must lead to; nil means the system's.
	Roots *x509.CertPool
}

// provider is one that may have been asked what it is. It is safe for concurrent use.
type provider struct {
	o      Provider
	now    func() time.Time
	client *http.Client

	asking singleflight.Group
	mu     sync.Mutex
	known  *discovered
	until  time.Time
}

// discovered is what a provider says of itself.
type discovered struct {
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	endpoint oauth2.Endpoint
	issParam bool // it sends iss to the callback (RFC 9207)
}

func newProvider(o Provider, secure bool, now func() time.Time) (*provider, error) {
	issuer, err := checkURL(o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("the issuer of the OpenID provider %w", err)
	}
	if issuer.RawQuery != "" {
		return nil, errors.New("the issuer of the OpenID provider has a query (?…), which issuers don't")
	}
	back, err := checkURL(o.RedirectURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the redirect URL for the OpenID provider %w", err)
	case back.Path != CallbackPath || back.RawQuery != "":
		return nil, fmt.Errorf("the redirect URL for the OpenID provider must be the console's address and %s", CallbackPath)
	case (back.Scheme == "https") != secure:
		return nil, errors.New("the redirect URL for the OpenID provider and the address of the console don't agree on https")
	case o.ClientID == "":
		return nil, errors.New("the client id for the OpenID provider is missing")
	case len(o.Roles) == 0:
		return nil, errors.New("nobody of the OpenID provider has a role: say which values of the roles claim give which role")
	}
	for _, value := range slices.Sorted(maps.Keys(o.Roles)) {
		if _, err := admin.ParseRole(string(o.Roles[value])); err != nil || value == "" {
			return nil, fmt.Errorf("the role for the claim value %q: there is no role %q; use viewer, compliance or admin, and a value", value, o.Roles[value])
		}
	}
	if o.Name == "" {
		o.Name = issuer.Host
	}
	if o.RolesClaim == "" {
		o.RolesClaim = "roles"
	}
	if o.Scopes == nil {
		o.Scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}
	}
	if !slices.Contains(o.Scopes, oidc.ScopeOpenID) {
		o.Scopes = append([]string{oidc.ScopeOpenID}, o.Scopes...)
	}
	o.Roles = maps.Clone(o.Roles)
	return &provider{o: o, now: now, client: newClient(o.Roots)}, nil
}

// checkURL reads an URL that secrets may be sent to. Its errors don't quote it.
func checkURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("is no URL: use https://HOST/PATH")
	case u.User != nil || u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("has a user name, a password or a fragment (#…)")
	case u.Scheme == "https", u.Scheme == "http" && onLoopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("is http, which is for this machine only (localhost): use https")
	}
	return nil, errors.New("is not https")
}

func onLoopback(host string) bool {
	if host == "localhost" { // RFC 6761 section 6.3
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// discover asks the provider what it is, if that isn't known. Whoever asks meanwhile
// gets the same answer. A failure is forgotten at once.
func (p *provider) discover(ctx context.Context) (*discovered, error) {
	p.mu.Lock()
	known := p.known
	if p.now().After(p.until) {
		known = nil
	}
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	answer := p.asking.DoChan("", func() (any, error) {
		// Not ctx: others may be waiting when this browser has gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		d, err := p.ask(ctx)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.known, p.until = d, p.now().Add(discoveredFor)
		return d, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answer:
		if a.Err != nil {
			return nil, a.Err
		}
		return a.Val.(*discovered), nil
	}
}

// ask does it (OpenID Connect Discovery 1.0 section 4).
func (p *provider) ask(ctx context.Context) (*discovered, error) {
	is, err := oidc.NewProvider(p.context(ctx), p.o.Issuer)
	if err != nil {
		return nil, err
	}
	var says struct {
		Authorization string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		UserInfo      string   `json:"userinfo_endpoint"`
		Keys          string   `json:"jwks_uri"`
		AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
		IssParam      bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := is.Claims(&says); err != nil {
		return nil, reason("what it says of itself can't be read")
	}
	endpoints := []struct{ name, url string }{
		{"authorization_endpoint", says.Authorization}, {"token_endpoint", says.Token}, {"jwks_uri", says.Keys},
	}
	if says.UserInfo != "" {
		endpoints = append(endpoints, struct{ name, url string }{"userinfo_endpoint", says.UserInfo})
	}
	for _, e := range endpoints {
		if _, err := checkURL(e.url); err != nil {
			return nil, reason("the " + e.name + " that it names " + err.Error())
		}
	}
	endpoint := is.Endpoint()
	endpoint.AuthStyle = authStyle(p.o.ClientSecret, says.AuthMethods)
	return &discovered{
		provider: is,
		// The algorithms are those that the provider names, of the asymmetric ones:
		// neither "none" nor one that is keyed by the client secret.
		verifier: is.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.now}),
		endpoint: endpoint,
		issParam: says.IssParam,
	}, nil
}

// authStyle is how the gateway says who it is. It isn't tried out: a code that came
// with the wrong one may be used up.
func authStyle(s secret.Secret, supported []string) oauth2.AuthStyle {
	if s.IsZero() || len(supported) > 0 && !slices.Contains(supported, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // the default (OpenID Connect Discovery 1.0 section 3)
}

// authorizationURL is where a browser goes to.
func (p *provider) authorizationURL(d *discovered, state string, f flow) string {
	return p.config(d).AuthCodeURL(state, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier))
}

func (p *provider) config(d *discovered) *oauth2.Config {
	return &oauth2.Config{ClientID: p.o.ClientID, Endpoint: d.endpoint, RedirectURL: p.o.RedirectURL, Scopes: p.o.Scopes}
}

// context makes the libraries use the way to the provider.
func (p *provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// exchange gets what the provider says of somebody, for a code. Its tokens end here.
func (p *provider) exchange(ctx context.Context, d *discovered, code string, f flow) (statements, failure) {
	ctx = p.context(ctx)
	config := p.config(d)
	config.ClientSecret = p.o.ClientSecret.Reveal()
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(f.verifier))
	if err != nil {
		return nil, exchangeFailed(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, identityInvalid("the token endpoint gave no ID token")
	}
	id, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, identityInvalid(whyInvalid(err))
	}
	var says statement
	if err := id.Claims(&says); err != nil {
		return nil, identityInvalid("the claims of the ID token can't be read")
	}
	azp, given := says["azp"]
	switch {
	case !equal(id.Nonce, f.nonce):
		return nil, identityInvalid("the ID token is not for this sign-in: its nonce is another")
	case given && azp != p.o.ClientID, !given && len(id.Audience) > 1: // Core 1.0 section 3.1.3.7
		return nil, identityInvalid("the ID token was issued to another client (azp)")
	case id.Subject == "" || len(id.Subject) > maxSubject:
		return nil, identityInvalid("the ID token has no sub, or one that is too long")
	}
	if says.complete(p.o.RolesClaim) || d.provider.UserInfoEndpoint() == "" {
		return statements{says}, failure{}
	}
	more, err := d.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, providerUnavailable("userinfo: " + whyNot(err))
	}
	var also statement
	if err := more.Claims(&also); err != nil || more.Subject != id.Subject { // Core 1.0 section 5.3.2
		return nil, identityInvalid("the userinfo is not that of the ID token's sub")
	}
	return statements{says, also}, failure{}
}
