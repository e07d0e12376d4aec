package oauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

// consentTimeout bounds each of the steps of a consent.
const consentTimeout = 30 * time.Second

// Consent is a request for consent that has begun: someone is sent to URL with a
// browser, and comes back to the gateway's redirect URL with an answer for
// [Manager.FinishConsent]. It is good for one answer, belongs to that browser, and
// to one incarnation of the connection. It prints redacted.
type Consent struct {
	Connection  string
	Incarnation uint64
	// URL is where the browser goes. For oauth1 it has the request token in it.
	URL string `json:"-"`
	// State comes back with the answer (RFC 6749 section 10.12): 256 random bits
	// in base64url. For oauth1 it is in the callback URL.
	State string `json:"-"`

	kind        tokenstore.CredentialKind
	redirectURL string
	client      string          // the client id or consumer key that asks
	verifier    secret.Secret   // PKCE (RFC 7636); oauth2
	request     applink.Request // oauth1
	answered    atomic.Bool
}

// BeginConsent begins to ask for consent for a connection, in any state. For
// oauth1 it asks Jira for a request token; otherwise nothing is sent.
//
// The errors are tokenstore.ErrNotFound, [ErrNotServed], [ErrNotConfigured],
// [ErrReplaced], [ErrUnavailable], and what the store says. A credential of
// another kind than oauth2 and oauth1 needs no consent, which is an error, too.
func (m *Manager) BeginConsent(ctx context.Context, connection string) (*Consent, error) {
	c, err := m.beginConsent(ctx, connection)
	if err != nil {
		return nil, failed(connection, err)
	}
	return c, nil
}

func (m *Manager) beginConsent(ctx context.Context, id string) (*Consent, error) {
	connection, cred, err := m.asked(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	c := &Consent{Connection: id, Incarnation: connection.Incarnation, State: randomState(), kind: cred.Kind}
	switch cred.Kind {
	case tokenstore.KindOAuth1:
		return c, m.beginLink(ctx, c, connection, &cred)
	case tokenstore.KindOAuth2:
	default:
		return nil, fmt.Errorf("a credential of kind %s needs no consent", cred.Kind)
	}
	p, err := m.provider(connection, &cred)
	if err != nil {
		return nil, err
	}
	if p.redirectURL == "" {
		return nil, errMissingRedirect
	}
	c.redirectURL, c.client = p.redirectURL, p.clientID
	// PKCE isn't documented by Atlassian, and ignored by a server that doesn't know
	// it (RFC 6749 section 3.1).
	verifier := oauth2.GenerateVerifier()
	c.verifier = secret.New(verifier)
	u := p.config().AuthCodeURL(c.State, append(p.extra, oauth2.S256ChallengeOption(verifier))...)
	// As Atlassian writes it: a plus that is meant is %2B here.
	c.URL = strings.ReplaceAll(u, "+", "%20")
	return c, nil
}

// asked returns a connection that consent may be asked for, and its credential.
// The incarnation is any if it is 0.
func (m *Manager) asked(ctx context.Context, id string, incarnation uint64) (*tokenstore.Connection, tokenstore.Credential, error) {
	var none tokenstore.Credential
	c, ok := m.store.Directory().Connection(id)
	switch {
	case !ok:
		return nil, none, tokenstore.ErrNotFound
	case incarnation != 0 && c.Incarnation != incarnation:
		return nil, none, ErrReplaced
	case !m.serves(c):
		return nil, none, ErrNotServed
	}
	cred, err := m.read(ctx, holder{id, c.Incarnation})
	if err != nil {
		return nil, none, err
	}
	return c, cred, nil
}

// randomState returns 256 bits that nobody guesses.
func randomState() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b)
}

// String implements [fmt.Stringer].
func (c *Consent) String() string { return "consent for connection " + c.Connection }

// Format implements [fmt.Formatter]: every verb and flag gives [Consent.String].
func (c *Consent) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, c.String()) // a failing writer is the business of whoever called fmt
}

// LogValue implements [slog.LogValuer].
func (c *Consent) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Granted is a consent that was given, and not stored yet. It prints redacted.
type Granted struct {
	*Consent
	// Credential is what came of it, for [Manager.Connect].
	Credential tokenstore.Credential
	// Sites are the Jira sites that a grant of Cloud leads to, sorted by URL; never
	// empty there, and always for Data Center.
	Sites []Site

	edition policy.Edition
}

// roundTrip makes one request of a consent that is no token request, with an
// answer within a limit. Errors don't quote the answer, nor the request.
func (m *Manager) roundTrip(c *tokenstore.Connection, req *http.Request, most int64) (status int, body []byte, err error) {
	req.Header.Set("User-Agent", "jiragate")
	res, err := unredirected(m.transport(c)).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = readBounded(res.Body, most)
	return res.StatusCode, body, err
}
