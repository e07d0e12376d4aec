package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// newManager refreshes against a over real TLS.
func newManager(t *testing.T, s Store, a *atlassian, change ...func(*Options)) *Manager {
	t.Helper()
	url, transport := overTLS(t, a)
	return managerOn(t, s, url, transport, change...)
}

func managerOn(t *testing.T, s Store, url string, transport http.RoundTripper, change ...func(*Options)) *Manager {
	t.Helper()
	o := Options{
		Store: s, AuthURL: url, APIURL: url, ClientID: clientID, ClientSecret: secret.New(clientSecret),
		RedirectURL: redirectURL,
		Transport:   func(*tokenstore.Connection) http.RoundTripper { return transport },
	}
	for _, c := range change {
		c(&o)
	}
	m := New(o)
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil && !errors.Is(err, errDied) {
			t.Error(err)
		}
	})
	return m
}

// present asks for the token of a connection in its present incarnation.
func present(ctx context.Context, m *Manager, id string) (secret.Secret, error) {
	incarnation := uint64(0)
	if c, ok := m.store.Directory().Connection(id); ok {
		incarnation = c.Incarnation
	}
	return m.AccessToken(ctx, id, incarnation)
}

func wantToken(t *testing.T, m *Manager, want string) {
	t.Helper()
	got, err := present(t.Context(), m, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if got.Reveal() != want {
		t.Fatalf("the token is %s, want %s", got.Reveal(), want)
	}
}

func wantError(t *testing.T, m *Manager, want error) error {
	t.Helper()
	got, err := present(t.Context(), m, "acme")
	if !errors.Is(err, want) {
		t.Fatalf("AccessToken = %v, want %v", err, want)
	}
	if !got.IsZero() {
		t.Fatal("a token came with the error")
	}
	return err
}

func TestValidTokenIsServedAsItIs(t *testing.T) {
	a := newAtlassian()
	m := newManager(t, newStore(t, time.Hour), a)
	for range 3 {
		wantToken(t, m, accessToken(0))
	}
	if n := a.times(); n != 0 {
		t.Errorf("Atlassian was asked %d times", n)
	}
}

func TestRefresh(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Minute)
	m := newManager(t, s, a)
	before := time.Now()
	wantToken(t, m, accessToken(1))
	wantToken(t, m, accessToken(1))
	if n := a.times(); n != 1 {
		t.Fatalf("Atlassian was asked %d times", n)
	}

	// What Atlassian received: JSON with these members and no others, no
	// credential in a header.
	request := a.requests[0]
	want := map[string]any{"grant_type": "refresh_token", "client_id": clientID, "client_secret": clientSecret, "refresh_token": refreshToken(0)}
	if len(request) != len(want) {
		t.Errorf("the request has the members %v", request)
	}
	for name, value := range want {
		if request[name] != value {
			t.Errorf("the request has %s = %v, want %v", name, request[name], value)
		}
	}
	header := a.headers[0]
	if got := header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type: %s", got)
	}
	if header.Get("Authorization") != "" || header.Get("Cookie") != "" {
		t.Errorf("headers sent: %v", header)
	}

	// What is stored, and shown of the connection.
	c := s.credential(t)
	if c.AccessToken.Reveal() != accessToken(1) || c.RefreshToken.Reveal() != refreshToken(1) || c.Generation != s.firstGeneration(t)+1 {
		t.Errorf("stored: %s, %s, generation %d", c.AccessToken.Reveal(), c.RefreshToken.Reveal(), c.Generation)
	}
	if c.Expiry.Before(before.Add(time.Hour-time.Second)) || c.Expiry.After(time.Now().Add(time.Hour)) {
		t.Errorf("stored expiry %v for a token of an hour asked for at %v", c.Expiry, before)
	}
	scopes := []string{"read:jira-user", "read:jira-work"}
	if shown := s.connection(t).Scopes; !slices.Equal(c.Scopes, scopes) || !slices.Equal(shown, scopes) {
		t.Errorf("stored scopes: %v, shown: %v", c.Scopes, shown)
	}
}

// TestThousandCallersRefreshOnce, at the moment at which the token ends.
func TestThousandCallersRefreshOnce(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	arrived := make(chan struct{})
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		<-arrived // until every caller is on its way
		a.mu.Lock()
		request := a.requests[0]
		a.mu.Unlock()
		status, body := a.exchange(request)
		answerJSON(status, body)(w, r)
	})
	m := newManager(t, s, a)
	var started, done sync.WaitGroup
	var mu sync.Mutex
	tokens := map[string]int{}
	for range 1000 {
		started.Add(1)
		done.Go(func() {
			started.Done()
			token, err := present(t.Context(), m, "acme")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			tokens[token.Reveal()]++
		})
	}
	started.Wait()
	close(arrived)
	done.Wait()
	if tokens[accessToken(1)] != 1000 || a.times() != 1 {
		t.Errorf("%d refreshes gave %v", a.times(), tokens)
	}
}

// TestLateCaller has read the credential before a refresh, and asks for one when
// that has ended.
func TestLateCaller(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	m := newManager(t, s, a)
	late := true
	m.now = func() time.Time {
		if late { // between reading and asking
			late = false
			wantToken(t, m, accessToken(1))
		}
		return time.Now()
	}
	wantToken(t, m, accessToken(1))
	if n := a.times(); n != 1 {
		t.Errorf("Atlassian was asked %d times", n)
	}
}

// TestCallerLeaves: who gives up waiting doesn't take the refresh along.
func TestCallerLeaves(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	asked, answerNow := make(chan struct{}), make(chan struct{})
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answerNow
		a.mu.Lock()
		request := a.requests[0]
		a.mu.Unlock()
		status, body := a.exchange(request)
		answerJSON(status, body)(w, r)
	})
	m := newManager(t, s, a)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := present(ctx, m, "acme")
		left <- err
	}()
	<-asked
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that left got %v", err)
	}
	close(answerNow)
	wantToken(t, m, accessToken(1))
	if a.times() != 1 {
		t.Errorf("Atlassian was asked %d times", a.times())
	}
}

// TestOneRefreshDoesNotWaitForAnother connection's.
func TestOneRefreshDoesNotWaitForAnother(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	s.add(t, "other", -time.Second)
	asked, answerNow := make(chan struct{}), make(chan struct{})
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answerNow
		answer(http.StatusBadGateway, "text/html", "")(w, r)
	})
	m := newManager(t, s, a)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := present(t.Context(), m, "other"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("the other connection: %v", err)
		}
	})
	<-asked
	wantToken(t, m, accessToken(1))
	close(answerNow)
	wg.Wait()
}

func TestNoRefreshTokenInTheAnswer(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	a.fail(answerJSON(200, map[string]any{"access_token": accessToken(9), "expires_in": 3600}))
	m := newManager(t, s, a)
	wantToken(t, m, accessToken(9))
	c := s.credential(t)
	if c.RefreshToken.Reveal() != refreshToken(0) || !slices.Equal(c.Scopes, []string{"read:jira-work"}) {
		t.Errorf("stored: %s, %v", c.RefreshToken.Reveal(), c.Scopes)
	}
}

// TestUnusableScopesDoNotCostTheTokens which came with them.
func TestUnusableScopesDoNotCostTheTokens(t *testing.T) {
	for _, scope := range []string{"", " ", "read:jira-work \"x\"", "\x00", "bücher"} {
		a, s := newAtlassian(), newStore(t, -time.Second)
		a.scope = scope
		wantToken(t, newManager(t, s, a), accessToken(1))
		if c := s.credential(t); !slices.Equal(c.Scopes, []string{"read:jira-work"}) {
			t.Errorf("scope %q: stored %q", scope, c.Scopes)
		}
	}
}

func TestConnectionsWithoutAToken(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	if err := s.AddConnection(t.Context(), tokenstore.Connection{
		ID: "datacenter", Edition: policy.DataCenter, BaseURL: "https://jira.acme.com", Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindBasic,
	}, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "u", Password: secret.New("p")}); err != nil {
		t.Fatal(err)
	}
	m := newManager(t, s, a)
	if _, err := present(t.Context(), m, "nobody"); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("an unknown connection: %v", err)
	}
	if _, err := present(t.Context(), m, "datacenter"); err == nil {
		t.Error("a basic credential has an access token")
	}
	if err := s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "maintenance"); err != nil {
		t.Fatal(err)
	}
	wantError(t, m, ErrDisabled)
	if err := storetest.Remove(t.Context(), s, "acme"); err != nil {
		t.Fatal(err)
	}
	wantError(t, m, tokenstore.ErrNotFound)
}

// TestReplacedCredentialCountsAtOnce: nothing is served from memory.
func TestReplacedCredentialCountsAtOnce(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	m := newManager(t, s, a)
	wantToken(t, m, accessToken(0))
	c := s.credential(t)
	c.AccessToken = secret.New("another-" + mark)
	if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
		t.Fatal(err)
	}
	wantToken(t, m, "another-"+mark)
}

func TestNoOAuthClient(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no id":     func(o *Options) { o.ClientID = "" },
		"no secret": func(o *Options) { o.ClientSecret = secret.Secret{} },
	} {
		t.Run(name, func(t *testing.T) {
			a, s := newAtlassian(), newStore(t, time.Minute)
			m := newManager(t, s, a, change)
			wantToken(t, m, accessToken(0)) // due, but it can't be renewed and is valid
			c := s.credential(t)
			c.Expiry = time.Now().Add(-time.Second).UTC()
			if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
				t.Fatal(err)
			}
			wantError(t, m, ErrNotConfigured)
			if s.connection(t).State != tokenstore.StateActive || a.times() != 0 {
				t.Errorf("state %s after %d requests", s.connection(t).State, a.times())
			}
		})
	}
}

func TestNoRefreshToken(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	m := newManager(t, s, a)
	replace := func(left time.Duration) {
		t.Helper()
		c := s.credential(t)
		c.RefreshToken, c.Expiry = secret.Secret{}, time.Now().Add(left).UTC()
		if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
			t.Fatal(err)
		}
	}
	replace(time.Minute)
	wantToken(t, m, accessToken(0))
	replace(-time.Second)
	wantError(t, m, ErrNeedsReauthorisation)
	if got := s.connection(t); got.State != tokenstore.StateNeedsReauthorisation || a.times() != 0 {
		t.Errorf("state %s after %d requests", got.State, a.times())
	}
}

// TestUnknownExpiry: a token without one is renewed at the first use, and serves
// where it can't be.
func TestUnknownExpiry(t *testing.T) {
	a, s := newAtlassian(), newStore(t, time.Hour)
	c := s.credential(t)
	c.Expiry = time.Time{}
	if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
		t.Fatal(err)
	}
	a.fail(answer(http.StatusBadGateway, "text/html", ""))
	m := newManager(t, s, a)
	wantToken(t, m, accessToken(0))
	if err := m.Close(t.Context()); err != nil || a.times() != 1 {
		t.Errorf("Atlassian was asked %d times, %v", a.times(), err)
	}
}

func TestClose(t *testing.T) {
	a, s := newAtlassian(), newStore(t, -time.Second)
	asked, answerNow := make(chan struct{}), make(chan struct{})
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answerNow
		a.mu.Lock()
		request := a.requests[0]
		a.mu.Unlock()
		status, body := a.exchange(request)
		answerJSON(status, body)(w, r)
	})
	m := newManager(t, s, a)
	got := make(chan secret.Secret)
	go func() {
		token, err := present(t.Context(), m, "acme")
		if err != nil {
			t.Error(err)
		}
		got <- token
	}()
	<-asked
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Close(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Close while a refresh runs, with an ended context: %v", err)
	}
	close(answerNow)
	if err := m.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if token := <-got; token.Reveal() != accessToken(1) || !s.isCommitted(accessToken(1)) {
		t.Errorf("the refresh that Close waited for gave %s", token.Reveal())
	}

	wantToken(t, m, accessToken(1)) // valid: served after Close too
	c := s.credential(t)
	c.Expiry = time.Now().Add(-time.Second).UTC()
	if err := s.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
		t.Fatal(err)
	}
	wantError(t, m, ErrUnavailable)
	if a.times() != 1 {
		t.Errorf("Atlassian was asked %d times", a.times())
	}
}
