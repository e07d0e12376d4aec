package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// refreshTimeout bounds a refresh, the caller's own deadline notwithstanding; and
// before it, how long it waits for another gateway's.
const refreshTimeout = 30 * time.Second

// Store is what a Manager needs of tokenstore.Store, whose contract it relies on.
type Store interface {
	Directory() *tokenstore.Directory
	UpdateConnection(ctx context.Context, id string, change func(*tokenstore.Connection) error) error
	RequireReauthorisation(ctx context.Context, id string, generation uint64, reason string) error
	AnnounceEnd(ctx context.Context, id string, generation uint64, reason string) error
	Credential(ctx context.Context, id string) (tokenstore.Credential, error)
	ReplaceCredential(ctx context.Context, id string, generation uint64, c tokenstore.Credential) error
	BeginRotation(ctx context.Context, id string, generation uint64) (tokenstore.Claim, error)
	AwaitRotation(ctx context.Context, id string, generation uint64) error
	FinishRotation(ctx context.Context, claim tokenstore.Claim, c tokenstore.Credential) error
	EndRotation(ctx context.Context, claim tokenstore.Claim) error
	YieldRotation(ctx context.Context, claim tokenstore.Claim) error
	Rotations(ctx context.Context) ([]tokenstore.Rotation, error)
}

// Options of a [Manager].
type Options struct {
	Store Store

	// AuthURL and APIURL are Atlassian's authorization server and API, without a
	// final slash: https://auth.atlassian.com and https://api.atlassian.com.
	AuthURL, APIURL string

	// ClientID and ClientSecret are those of the app registered with Atlassian.
	// They may be empty: then tokens are served until they end.
	ClientID     string
	ClientSecret secret.Secret
	// RedirectURL is where browsers come back to after a consent, as it is
	// registered with Atlassian and in the application links of Data Center. Without
	// it nobody can consent.
	RedirectURL string

	// Transport gives the way to the authorization server, and to Atlassian's API,
	// for a connection. It is called for each request, and should return the same
	// value again for the same connection. Nil, or a nil result, means
	// [http.DefaultTransport].
	Transport func(*tokenstore.Connection) http.RoundTripper
	// Serves reports whether requests for a connection may leave from here, which is
	// a matter of its region. Nil means always.
	Serves func(*tokenstore.Connection) bool

	// OnDuty reports whether Run looks after grants that nobody uses here, for all
	// gateways that share the store. It must not block; nil means that it always does.
	OnDuty func() bool

	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// Logger gets a line for each refresh; nil means none.
	Logger *slog.Logger
	// Tracer gets a span "oauth.refresh" for each refresh, with links to the spans of
	// those who wait for it, which get a link to it; nil means none.
	Tracer trace.Tracer
	// Meter gets the number of refreshes and their duration; nil means none.
	Meter metric.Meter
}

// Manager hands out access tokens, and keeps the grants alive that they come
// from. It is safe for concurrent use.
type Manager struct {
	store        Store
	authURL      string
	apiURL       string
	clientID     string
	clientSecret atomic.Pointer[secret.Secret]
	redirectURL  string
	transportFor func(*tokenstore.Connection) http.RoundTripper
	serves       func(*tokenstore.Connection) bool
	onDuty       func() bool
	now          func() time.Time
	log          *slog.Logger
	tracer       trace.Tracer
	meters       meters

	running sync.WaitGroup // refreshes

	mu       sync.Mutex
	closed   bool
	renewals map[holder]*renewal
	sweepAt  int // the number of renewals at which those that are gone are forgotten
}

// holder is what holds a credential: a connection, as it is in one incarnation.
type holder struct {
	connection  string
	incarnation uint64
}

// New returns a Manager. It starts nothing until a token is asked for, or
// [Manager.Run] is called.
func New(o Options) *Manager {
	m := &Manager{
		store:        o.Store,
		authURL:      o.AuthURL,
		apiURL:       o.APIURL,
		clientID:     o.ClientID,
		redirectURL:  o.RedirectURL,
		transportFor: o.Transport,
		serves:       o.Serves,
		onDuty:       o.OnDuty,
		now:          o.Now,
		log:          o.Logger,
		tracer:       o.Tracer,
		meters:       newMeters(o.Meter),
		renewals:     make(map[holder]*renewal),
	}
	m.SetClientSecret(o.ClientSecret)
	if m.serves == nil {
		m.serves = func(*tokenstore.Connection) bool { return true }
	}
	if m.onDuty == nil {
		m.onDuty = func() bool { return true }
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

// SetClientSecret is [Options.ClientSecret] for each request from now on.
func (m *Manager) SetClientSecret(s secret.Secret) { m.clientSecret.Store(&s) }

// AccessToken returns a token for the calls of a connection. A token that is
// returned is on disk, and belongs to that incarnation
// (tokenstore.Connection.Incarnation), which need not be the present one by the
// time that it is used.
//
// A token that is about to end is renewed in the background, and returned
// meanwhile. For one that has ended it waits for the refresh, as long as ctx
// lasts; ctx does not end the refresh. The errors are [ErrReplaced],
// [ErrNeedsReauthorisation], [ErrUnavailable], [ErrNotConfigured], [ErrDisabled],
// tokenstore.ErrNotFound, what the store says, or that of ctx. None holds
// anything secret.
func (m *Manager) AccessToken(ctx context.Context, connection string, incarnation uint64) (secret.Secret, error) {
	token, err := m.accessToken(ctx, holder{connection, incarnation})
	if err != nil {
		return secret.Secret{}, failed(connection, err)
	}
	return token, nil
}

// failed names the connection in an error that leaves the package.
func failed(connection string, err error) error {
	return fmt.Errorf("oauth: connection %s: %w", connection, err)
}

func (m *Manager) accessToken(ctx context.Context, h holder) (secret.Secret, error) {
	// The store is asked each time. Decrypting a record takes microseconds, and a
	// copy kept here might outlive a credential that was replaced or removed.
	c, cred, err := m.lookup(ctx, h)
	if err != nil {
		return secret.Secret{}, err
	}
	now := m.now()
	f, err := m.join(ctx, h, c, cred, now, demand{call: true})
	switch {
	case usable(cred, now) && (err == nil || passing(err)):
		return cred.AccessToken, nil
	case err != nil:
		return secret.Secret{}, err
	case f != nil:
		return m.await(ctx, h, f, secret.Secret{})
	}
	return cred.AccessToken, nil
}

// await waits for a refresh. Where it fails in passing, the token that is stored
// by then serves, if it is valid and not the one that was refused.
func (m *Manager) await(ctx context.Context, h holder, f *flight, refused secret.Secret) (secret.Secret, error) {
	if err := f.wait(ctx); err != nil {
		return secret.Secret{}, err
	}
	if f.err == nil {
		return f.token, nil
	}
	err := f.err
	if passing(err) {
		_, cred, gone := m.lookup(ctx, h)
		switch {
		case gone == nil && usable(cred, m.now()) && !cred.AccessToken.Equal(refused):
			return cred.AccessToken, nil
		case errors.Is(gone, ErrReplaced):
			err = gone
		}
	}
	return secret.Secret{}, err
}

// lookup reads the credential of a connection that may be called. It is of the
// holder's incarnation.
func (m *Manager) lookup(ctx context.Context, h holder) (*tokenstore.Connection, tokenstore.Credential, error) {
	var none tokenstore.Credential
	c, ok := m.store.Directory().Connection(h.connection)
	switch {
	case !ok:
		return nil, none, tokenstore.ErrNotFound
	case c.Incarnation != h.incarnation:
		return nil, none, ErrReplaced
	case c.CredentialKind != tokenstore.KindOAuth2:
		return nil, none, fmt.Errorf("a credential of kind %s has no access token", c.CredentialKind)
	case c.State == tokenstore.StateNeedsReauthorisation:
		return nil, none, ErrNeedsReauthorisation
	case !c.State.Callable():
		return nil, none, ErrDisabled
	}
	cred, err := m.read(ctx, h)
	if err != nil {
		return nil, none, err
	}
	return c, cred, nil
}

// read returns the credential of a holder, whatever the state of its connection.
func (m *Manager) read(ctx context.Context, h holder) (tokenstore.Credential, error) {
	cred, err := m.store.Credential(ctx, h.connection)
	switch {
	case err != nil:
		return tokenstore.Credential{}, fmt.Errorf("read its credential: %w", err)
	case cred.Incarnation() != h.incarnation: // replaced since the directory was read
		return tokenstore.Credential{}, ErrReplaced
	}
	return cred, nil
}

// usable reports whether Jira should accept the access token. One without a
// known end is tried.
func usable(c tokenstore.Credential, now time.Time) bool {
	return !c.AccessToken.IsZero() && (c.Expiry.IsZero() || now.Before(c.Expiry))
}

func (m *Manager) transport(c *tokenstore.Connection) http.RoundTripper {
	if m.transportFor != nil {
		if t := m.transportFor(c); t != nil {
			return t
		}
	}
	return http.DefaultTransport
}

// Close begins no more refreshes and waits for those that run, as long as ctx
// lasts. A new pair that the store did not take is offered to it once more; where
// that fails, the error names the connection, whose grant may be lost. Tokens that
// are still valid are served all the same. The store must stay open until Close has
// returned, and [Manager.Run], if it was called.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	for _, r := range m.renewals {
		r.disarm()
	}
	m.mu.Unlock()

	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return m.storeRest(ctx)
	case <-ctx.Done():
		return errors.Join(errors.New("oauth: a refresh is still running"), ctx.Err())
	}
}

// storeRest stores the pairs that are in memory only.
func (m *Manager) storeRest(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for h, r := range m.renewals {
		if r.last.unstored == nil {
			continue
		}
		err := m.store.FinishRotation(ctx, r.last.unstored.claim, r.last.unstored.credential)
		switch {
		case errors.Is(err, tokenstore.ErrLapsed):
			m.dropped(ctx, h)
			r.last.unstored = nil
		case err == nil, errors.Is(err, tokenstore.ErrConflict), errors.Is(err, tokenstore.ErrNotFound):
			r.last.unstored = nil
		default:
			errs = append(errs, failed(h.connection, fmt.Errorf("the renewed token could not be stored: %w", err)))
		}
	}
	return errors.Join(errs...)
}
