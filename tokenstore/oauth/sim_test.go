package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// simulated is a Manager whose authorization servers are the simulator's.
type simulated struct {
	t   *testing.T
	sim *jirasim.Sim
	*watchedStore
	*Manager
	transport *http.Transport
}

func newSimulated(t *testing.T, change func(*jirasim.Options), options ...func(*Options)) *simulated {
	t.Helper()
	o := jirasim.Options{RedirectURLs: []string{redirectURL}, DCRedirectURLs: []string{redirectURL}}
	if change != nil {
		change(&o)
	}
	sim, err := jirasim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	sim.SetConsent(jirasim.ConsentApprove)
	w := &simulated{t: t, sim: sim, watchedStore: newStore(t, time.Hour), transport: trusting(t, sim.CAPEM())}
	options = append([]func(*Options){func(o *Options) {
		o.AuthURL, o.APIURL = sim.AuthURL(), sim.APIURL()
		o.ClientID, o.ClientSecret = jirasim.DefaultClientID, secret.New(jirasim.DefaultClientSecret)
	}}, options...)
	w.Manager = managerOn(t, w.watchedStore, "", w.transport, options...)
	return w
}

// trusting is a transport that trusts the authority in pem alone.
func trusting(t *testing.T, pem []byte) *http.Transport {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// browse goes where a request for consent leads, and returns what the browser
// brings back.
func browse(t *testing.T, transport http.RoundTripper, c *Consent) url.Values {
	t.Helper()
	res, err := unredirected(transport).Get(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	u, err := res.Location()
	if err != nil {
		t.Fatalf("status %d from the consent page: %v", res.StatusCode, err)
	}
	if back := u.Scheme + "://" + u.Host + u.Path; back != redirectURL {
		t.Fatalf("the browser comes back to %s", back)
	}
	return u.Query()
}

// grant gives a connection the tokens of a consent that was given elsewhere.
func (w *simulated) grant(id string, tokens jirasim.Tokens, expiry time.Time) {
	w.t.Helper()
	c, err := w.Credential(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	c.AccessToken, c.RefreshToken, c.Expiry = secret.New(tokens.AccessToken), secret.New(tokens.RefreshToken), expiry.UTC()
	if err := w.watchedStore.Store.ReplaceCredential(w.t.Context(), id, c.Generation, c); err != nil {
		w.t.Fatal(err)
	}
}

// addDataCenter adds an oauth2 connection "dc", without a consent.
func (w *simulated) addDataCenter() {
	w.t.Helper()
	err := w.AddConnection(w.t.Context(), tokenstore.Connection{
		ID: "dc", Edition: policy.DataCenter, BaseURL: w.sim.DataCenterURL(), Region: tokenstore.RegionEU, CredentialKind: tokenstore.KindOAuth2,
	}, tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, ClientID: jirasim.DefaultDCClientID, ClientSecret: secret.New(jirasim.DefaultDCClientSecret), RedirectURL: redirectURL,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// consent asks for consent as far as the Manager's part goes.
func (w *simulated) consent(id string) (*Granted, error) {
	w.t.Helper()
	c, err := w.BeginConsent(w.t.Context(), id)
	if err != nil {
		return nil, err
	}
	return w.FinishConsent(w.t.Context(), c, browse(w.t, w.transport, c))
}

// TestThousandCallersAtExpiry against the simulator: one refresh, whatever each
// caller finds the token to be.
func TestThousandCallersAtExpiry(t *testing.T) {
	for name, left := range map[string]time.Duration{"ended": -time.Second, "about to end": time.Minute, "ending now": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			w := newSimulated(t, nil)
			first := w.sim.IssueGrant()
			w.grant("acme", first, time.Now().Add(left))
			var wg sync.WaitGroup
			var mu sync.Mutex
			got := map[string]int{}
			for range 1000 {
				wg.Go(func() {
					token, err := present(context.Background(), w.Manager, "acme")
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					got[token.Reveal()]++
				})
			}
			wg.Wait()
			if err := w.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if stats := w.sim.TokenStats(); stats.Requests != 1 || stats.Refreshes != 1 || len(got) > 2 || left < 0 && got[first.AccessToken] != 0 {
				t.Errorf("%+v; %d different tokens, the first for %d callers", stats, len(got), got[first.AccessToken])
			}
			if c := w.credential(t); !w.sim.RefreshTokenCurrent(c.RefreshToken.Reveal()) {
				t.Error("the refresh token that is stored is not the current one")
			}
		})
	}
}

// TestEndpointMisbehaves: whatever the token endpoint does instead of answering,
// a token that is valid goes on serving, one that has ended is ErrUnavailable,
// and the connection goes on when the endpoint does.
func TestEndpointMisbehaves(t *testing.T) {
	for name, fault := range map[string]jirasim.Fault{
		"5xx":                      {Kind: jirasim.ErrorStatus, Status: 503},
		"5xx after the rotation":   {Kind: jirasim.ErrorStatus, Status: 500, AfterWork: true},
		"HTML with 200":            {Kind: jirasim.HTMLPage, Status: 200, AfterWork: true},
		"403 without JSON":         {Kind: jirasim.HTMLPage, Status: 403},
		"truncated":                {Kind: jirasim.Truncate},
		"reset in the body":        {Kind: jirasim.ResetAfterHeaders},
		"reset before the headers": {Kind: jirasim.ResetBeforeHeaders, AfterWork: true},
		"redirect":                 {Kind: jirasim.Redirect, Status: 307},
		"oversized":                {Kind: jirasim.Endless, Count: 100, AfterWork: true},
		"rate limit":               {Kind: jirasim.RateLimit, Delay: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSimulated(t, nil)
			first := w.sim.IssueGrant()
			w.grant("acme", first, time.Now().Add(time.Minute))
			fault.Origin = jirasim.AuthServer
			clear := w.sim.Fault(fault)
			wantToken(t, w.Manager, first.AccessToken)
			w.waitIdle()
			w.grant("acme", first, time.Now().Add(-time.Second))
			wantError(t, w.Manager, ErrUnavailable)
			if len(w.standing(t)) != 1 {
				t.Errorf("notes of rotations: %v", w.standing(t))
			}
			if c := w.connection(t); c.State != tokenstore.StateActive {
				t.Errorf("state %s (%s)", c.State, c.StateReason)
			}
			clear()
			w.eventually(func() error {
				_, err := present(t.Context(), w.Manager, "acme")
				return err
			})
			if stats := w.sim.TokenStats(); stats.Breaches != 0 || len(w.standing(t)) != 0 || !w.sim.RefreshTokenCurrent(w.credential(t).RefreshToken.Reveal()) {
				t.Errorf("%+v; notes of rotations: %v", stats, w.standing(t))
			}
		})
	}
}

// waitIdle returns when no refresh runs.
func (w *simulated) waitIdle() {
	w.running.Wait()
}

// eventually waits for real time to pass until f succeeds.
func (w *simulated) eventually(f func() error) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	err := f()
	for err != nil && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
		err = f()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestRevokedGrant, on either edition.
func TestRevokedGrant(t *testing.T) {
	for _, id := range []string{"acme", "dc"} {
		t.Run(id, func(t *testing.T) {
			w := newSimulated(t, nil)
			w.addDataCenter()
			tokens := w.sim.IssueGrant()
			if id == "dc" {
				tokens = w.sim.IssueDataCenterGrant()
			}
			w.grant(id, tokens, time.Now().Add(-time.Second))
			for range 3 { // rotations, as long as it lasts
				if _, err := present(t.Context(), w.Manager, id); err != nil {
					t.Fatal(err)
				}
				c, err := w.Credential(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				tokens = jirasim.Tokens{AccessToken: c.AccessToken.Reveal(), RefreshToken: c.RefreshToken.Reveal()}
				w.grant(id, tokens, time.Now().Add(-time.Second))
			}
			if id == "dc" {
				w.sim.RevokeDataCenterGrant(tokens.RefreshToken)
			} else {
				w.sim.RevokeGrant(tokens.RefreshToken)
			}
			if _, err := present(t.Context(), w.Manager, id); !errors.Is(err, ErrNeedsReauthorisation) {
				t.Errorf("after the grant was revoked: %v", err)
			}
			if len(w.standing(t)) != 0 {
				t.Errorf("notes of rotations: %v", w.standing(t))
			}
		})
	}
}
