package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

const (
	// earlyRenewal is how long before its end a token is renewed, and renewalSpread
	// what is added at random for each connection, so that connections set up
	// together don't renew together. Short-lived tokens are renewed when a fifth
	// of their life is left.
	earlyRenewal  = 5 * time.Minute
	renewalSpread = time.Minute
	shortLived    = 5

	// refreshTimeout bounds a refresh, the caller's own deadline notwithstanding.
	refreshTimeout = 30 * time.Second

	// patience is how long callers wait for a refresh, from its beginning, while
	// the present token would still do.
	patience = 5 * time.Second
)

// Store is what a Manager needs of tokenstore.Store, whose contract it relies on.
type Store interface {
	Directory() *tokenstore.Directory
	Credential(ctx context.Context, id string) (tokenstore.Credential, error)
	ReplaceCredential(ctx context.Context, id string, generation uint64, c tokenstore.Credential) error
	RequireReauthorisation(ctx context.Context, id string, generation uint64, reason string) error
}

// Options of a [Manager].
type Options struct {
	Store Store

	// TokenURL is Atlassian's token endpoint: https://auth.atlassian.com/oauth/token.
	TokenURL string

	// ClientID and ClientSecret are those of the app registered with Atlassian.
	// They may be empty: then tokens are served until they end.
	ClientID     string
	ClientSecret secret.Secret

	// Transport gives the way to the token endpoint for a connection. It is
	// called for each refresh, and should return the same value again for the
	// same connection. Nil, or a nil result, means [http.DefaultTransport].
	Transport func(connection string) http.RoundTripper

	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// Logger gets a line for each refresh; nil means none.
	Logger *slog.Logger
	// Tracer gets a span "oauth.refresh" for each refresh; nil means none.
	Tracer trace.Tracer
}

// Manager hands out access tokens. It is safe for concurrent use.
type Manager struct {
	store        Store
	tokenURL     string
	clientID     string
	clientSecret secret.Secret
	transportFor func(string) http.RoundTripper
	now          func() time.Time
	log          *slog.Logger
	tracer       trace.Tracer

	running sync.WaitGroup // refreshes

	mu       sync.Mutex
	closed   bool
	renewals map[holder]*renewal
}

// holder is what holds a credential: a connection, as it is in one incarnation.
type holder struct {
	connection  string
	incarnation uint64
}

// New returns a Manager. It starts nothing until a token is asked for.
func New(o Options) *Manager {
	m := &Manager{
		store:        o.Store,
		tokenURL:     o.TokenURL,
		clientID:     o.ClientID,
		clientSecret: o.ClientSecret,
		transportFor: o.Transport,
		now:          o.Now,
		log:          o.Logger,
		tracer:       o.Tracer,
		renewals:     make(map[holder]*renewal),
	}
	if m.now == nil {
		m.now = time.Now
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.tracer == nil {
		m.tracer = noop.NewTracerProvider().Tracer("")
	}
	return m
}

// AccessToken returns a token for the calls of a connection, renewed first if
// it is about to end. A token that is returned is on disk, and belongs to that
// incarnation (tokenstore.Connection.Incarnation), which need not be the present
// one by the time that it is used.
//
// It waits for a refresh as long as ctx lasts, or for a few seconds while the
// present token is valid, which then serves; ctx does not end the refresh. The
// errors are [ErrReplaced], [ErrNeedsReauthorisation], [ErrUnavailable],
// [ErrNotConfigured], [ErrDisabled], tokenstore.ErrNotFound, what the store says,
// or that of ctx. None holds anything secret.
func (m *Manager) AccessToken(ctx context.Context, connection string, incarnation uint64) (secret.Secret, error) {
	token, err := m.accessToken(ctx, holder{connection, incarnation})
	if err != nil {
		return secret.Secret{}, fmt.Errorf("oauth: connection %s: %w", connection, err)
	}
	return token, nil
}

func (m *Manager) accessToken(ctx context.Context, h holder) (secret.Secret, error) {
	// The store is asked each time. Decrypting a record takes microseconds, and a
	// copy kept here might outlive a credential that was replaced or removed.
	cred, err := m.lookup(ctx, h)
	if err != nil {
		return secret.Secret{}, err
	}
	now := m.now()
	f, err := m.join(ctx, h, cred, now)
	if f != nil {
		return m.await(ctx, h, f, usable(cred, now))
	}
	if err != nil && !(passing(err) && usable(cred, now)) {
		return secret.Secret{}, err
	}
	return cred.AccessToken, nil
}

// await waits for a refresh. Where it fails in passing, the token that is stored
// serves as long as it is valid.
func (m *Manager) await(ctx context.Context, h holder, f *flight, fallback bool) (secret.Secret, error) {
	var enough <-chan time.Time
	if fallback {
		timer := time.NewTimer(patience - m.now().Sub(f.began))
		defer timer.Stop()
		enough = timer.C
	}
	var err error
	select {
	case <-f.done:
		if f.err == nil {
			return f.token, nil
		}
		err = f.err
	case <-enough:
		err = errSlow
	case <-ctx.Done():
		return secret.Secret{}, fmt.Errorf("waiting for a refresh: %w", ctx.Err())
	}
	if passing(err) {
		// Looked up again: it may have been replaced or removed meanwhile.
		cred, gone := m.lookup(ctx, h)
		switch {
		case gone == nil && usable(cred, m.now()):
			return cred.AccessToken, nil
		case errors.Is(gone, ErrReplaced):
			err = gone
		}
	}
	return secret.Secret{}, err
}

// lookup reads the credential of a connection that may be called. It is of the
// holder's incarnation.
func (m *Manager) lookup(ctx context.Context, h holder) (tokenstore.Credential, error) {
	var none tokenstore.Credential
	c, ok := m.store.Directory().Connection(h.connection)
	switch {
	case !ok:
		return none, tokenstore.ErrNotFound
	case c.Incarnation != h.incarnation:
		return none, ErrReplaced
	case c.CredentialKind != tokenstore.KindOAuth2:
		return none, fmt.Errorf("a credential of kind %s has no access token", c.CredentialKind)
	case c.State == tokenstore.StateNeedsReauthorisation:
		return none, ErrNeedsReauthorisation
	case c.State != tokenstore.StateActive:
		return none, ErrDisabled
	}
	cred, err := m.store.Credential(ctx, h.connection)
	switch {
	case err != nil:
		return none, fmt.Errorf("read its credential: %w", err)
	case cred.Incarnation() != h.incarnation: // replaced since the directory was read
		return none, ErrReplaced
	}
	return cred, nil
}

// usable reports whether Jira should accept the access token. One without a
// known end is tried.
func usable(c tokenstore.Credential, now time.Time) bool {
	return !c.AccessToken.IsZero() && (c.Expiry.IsZero() || now.Before(c.Expiry))
}

func (m *Manager) transport(connection string) http.RoundTripper {
	if m.transportFor != nil {
		if t := m.transportFor(connection); t != nil {
			return t
		}
	}
	return http.DefaultTransport
}

// Close begins no more refreshes and waits for those that run, as long as ctx
// lasts. Tokens that are still valid are served all the same. The store must
// stay open until Close has returned nil.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	for _, r := range m.renewals {
		if r.retry != nil {
			r.retry.Stop()
		}
	}
	m.mu.Unlock()

	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("oauth: a refresh is still running"), ctx.Err())
	}
}
