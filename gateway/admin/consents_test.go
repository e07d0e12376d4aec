package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/consent"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

const gateRedirect = "https://gate.example/oauth/callback"

// consenting returns the local face of a gateway that can ask for consent.
func consenting(t *testing.T, changes ...func(*admin.Options)) (http.Handler, *bolt.Store) {
	t.Helper()
	store, _ := openStore(t)
	o := options(t, store)
	o.RedirectURL = gateRedirect
	for _, change := range changes {
		change(&o)
	}
	return local(t, o), store
}

func decodeInto[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func TestConnectionThatAwaitsConsent(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		lifetime   time.Duration
	}{
		{"cloud, nothing known", `{"id": "acme", "edition": "cloud"}`, 7 * 24 * time.Hour},
		{"cloud, kind and site", `{"id": "acme", "edition": "cloud", "site_url": "https://acme.atlassian.net", "credential": {"kind": "oauth2"}, "expires_in": 3600}`, time.Hour},
		{"Data Center, OAuth 2.0", `{"id": "acme", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": {"kind": "oauth2", "client_id": "gate", "client_secret": "S3cretClient"}}`, 7 * 24 * time.Hour},
		{"Data Center, OAuth 1.0a", `{"id": "acme", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": {"kind": "oauth1", "consumer_key": "gate"}, "expires_in": 2592000}`, 30 * 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, store := consenting(t)
			before := time.Now()
			status, body := call(t, h, "POST", "/v1/connections", tt.body)
			if status != 201 {
				t.Fatalf("%d %s", status, body)
			}
			added := decodeInto[admin.Invited](t, body)
			if added.State != "needs_reauthorisation" || added.StateReason != tokenstore.ReasonAwaitsConsent {
				t.Errorf("state %s: %s", added.State, added.StateReason)
			}
			if !strings.HasPrefix(added.ConsentURL, "https://gate.example/oauth/start?invitation=acme~jgi_") {
				t.Error("the link is none")
			}
			if d := added.ConsentExpiresAt.Sub(before); d < tt.lifetime-time.Minute || d > tt.lifetime+time.Minute {
				t.Errorf("the link is good for %s", d)
			}
			first, err := store.Invitation(t.Context(), "acme")
			if err != nil || !first.ExpiresAt.Equal(added.ConsentExpiresAt) {
				t.Errorf("the invitation is not stored (%v)", err)
			}
			// The link is in this one answer, and only its digest anywhere else.
			_, token, _ := strings.Cut(added.ConsentURL, "~")
			if first.TokenSHA256 != tokenstore.TokenSHA256(token) {
				t.Error("the invitation is another")
			}
			if _, body := call(t, h, "GET", "/v1/connections/acme", ""); strings.Contains(body, token) || strings.Contains(body, "PRIVATE") {
				t.Errorf("shown again: %s", body)
			}
			if _, body := call(t, h, "POST", "/v1/connections/acme/consent", ""); decodeInto[admin.Invited](t, body).ConsentURL == added.ConsentURL {
				t.Error("the same link again")
			}
			if again, err := store.Invitation(t.Context(), "acme"); err != nil || again.TokenSHA256 == first.TokenSHA256 {
				t.Errorf("the old link is still good (%v)", err)
			}
			// Nobody has consented: switching it on doesn't help.
			call(t, h, "POST", "/v1/connections/acme/disable", "")
			_, body = call(t, h, "POST", "/v1/connections/acme/enable", "")
			if c := decodeInto[admin.Connection](t, body); c.State != "needs_reauthorisation" || c.StateReason != tokenstore.ReasonAwaitsConsent {
				t.Errorf("enabled: %s %s", c.State, c.StateReason)
			}
		})
	}
}

func TestApplicationLinkShowsItsPublicKey(t *testing.T) {
	h, store := consenting(t)
	_, body := call(t, h, "POST", "/v1/connections", `{"id": "acme", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": {"kind": "oauth1", "consumer_key": "gate"}}`)
	added := decodeInto[admin.Invited](t, body)
	cred, err := store.Credential(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	public, err := applink.PublicKey(cred.PrivateKey)
	if err != nil || added.PublicKey != public || added.ConsumerKey != "gate" || added.CallbackURL != gateRedirect {
		t.Errorf("%+v (%v)", added, err)
	}
	_, body = call(t, h, "GET", "/v1/connections/acme", "")
	if c := decodeInto[admin.Connection](t, body); c.PublicKey != public || c.ConsumerKey != "gate" || c.CallbackURL != gateRedirect {
		t.Errorf("%+v", c)
	}
	// A key that is brought is used.
	own, err := applink.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := admin.NewConnection{
		ID: "own", Edition: policy.DataCenter, BaseURL: "https://jira.own.com", ExpiresIn: time.Hour,
		Credential: tokenstore.Credential{Kind: tokenstore.KindOAuth1, ConsumerKey: "gate", PrivateKey: own},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if status, body := call(t, h, "POST", "/v1/connections", string(request)); status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	if cred, err := store.Credential(t.Context(), "own"); err != nil || !cred.PrivateKey.Equal(own) {
		t.Errorf("another key is stored (%v)", err)
	}
}

func TestConsentThatCannotBeAskedFor(t *testing.T) {
	const dataCenter = `{"id": "acme", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": `
	unset := func(o *admin.Options) { o.RedirectURL = "" }
	unready := func(o *admin.Options) {
		o.ConsentReady = func() error { return errors.New("JIRAGATE_OAUTH_CLIENT_ID is not set") }
	}
	for _, tt := range []struct {
		name   string
		change func(*admin.Options)
		body   string
		status int
		code   string
		says   string
	}{
		{"cloud without a redirect URL", unset, `{"id": "acme", "edition": "cloud"}`, 503, admin.CodeNotConfigured, "JIRAGATE_OAUTH_REDIRECT_URL"},
		{"oauth2 without a redirect URL", unset, dataCenter + `{"kind": "oauth2", "client_id": "a", "client_secret": "S3cret"}}`, 503, admin.CodeNotConfigured, "JIRAGATE_OAUTH_REDIRECT_URL"},
		{"oauth1 without a redirect URL", unset, dataCenter + `{"kind": "oauth1", "consumer_key": "a"}}`, 503, admin.CodeNotConfigured, "JIRAGATE_OAUTH_REDIRECT_URL"},
		{"cloud without a client", unready, `{"id": "acme", "edition": "cloud"}`, 503, admin.CodeNotConfigured, "JIRAGATE_OAUTH_CLIENT_ID"},
		{"cloud with a client of its own", nil, `{"id": "acme", "edition": "cloud", "credential": {"kind": "oauth2", "client_id": "a", "client_secret": "S3cret"}}`, 400, admin.CodeInvalid, "JIRAGATE_OAUTH_CLIENT_ID"},
		{"oauth2 without a client", nil, dataCenter + `{"kind": "oauth2"}}`, 400, admin.CodeInvalid, "client_id"},
		{"oauth2 without a secret", nil, dataCenter + `{"kind": "oauth2", "client_id": "a"}}`, 400, admin.CodeInvalid, "client secret"},
		{"oauth1 without a consumer key", nil, dataCenter + `{"kind": "oauth1"}}`, 400, admin.CodeInvalid, "consumer key"},
		{"oauth1 with a token and no key", nil, dataCenter + `{"kind": "oauth1", "consumer_key": "a", "token": "S3cret"}}`, 400, admin.CodeInvalid, "private key"},
		{"oauth1 with a key that is none", nil, dataCenter + `{"kind": "oauth1", "consumer_key": "a", "private_key": "S3cret"}}`, 400, admin.CodeInvalid, "PEM"},
		{"Data Center without a kind", nil, `{"id": "acme", "edition": "datacenter", "base_url": "https://jira.acme.com"}`, 400, admin.CodeInvalid, "kind"},
		{"link for longer than a month", nil, `{"id": "acme", "edition": "cloud", "expires_in": 2592001}`, 400, admin.CodeInvalid, "expires_in"},
		{"link for a moment", nil, `{"id": "acme", "edition": "cloud", "expires_in": 1}`, 400, admin.CodeInvalid, "expires_in"},
		{"link for less than nothing", nil, `{"id": "acme", "edition": "cloud", "expires_in": -3600}`, 400, admin.CodeInvalid, "expires_in"},
		{"a time of consent, but none", nil, `{"id": "acme", "edition": "cloud", "credential": {"kind": "oauth2", "consented_at": "2026-01-01T00:00:00Z"}}`, 400, admin.CodeInvalid, "empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var changes []func(*admin.Options)
			if tt.change != nil {
				changes = append(changes, tt.change)
			}
			h, store := consenting(t, changes...)
			status, body := call(t, h, "POST", "/v1/connections", tt.body)
			if wantCode(t, body, tt.code); status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("%d %s", status, body)
			}
			if len(store.Directory().Connections()) > 0 {
				t.Error("it was added")
			}
		})
	}
}

func TestNoLinkForPasswords(t *testing.T) {
	h, _ := consenting(t)
	call(t, h, "POST", "/v1/connections", basicConnection)
	status, body := call(t, h, "POST", "/v1/connections/globex/consent", "{}")
	if wantCode(t, body, admin.CodeConflict); status != 409 {
		t.Errorf("%d", status)
	}
	call(t, h, "POST", "/v1/connections", `{"id": "dc", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": {"kind": "oauth2", "access_token": "S3cret"}}`)
	status, body = call(t, h, "POST", "/v1/connections/dc/consent", "{}")
	if wantCode(t, body, admin.CodeConflict); status != 409 || !strings.Contains(body, "client_id") {
		t.Errorf("%d %s", status, body)
	}
	status, body = call(t, h, "POST", "/v1/connections/globex/consent", `{"expires": 5}`)
	if wantCode(t, body, admin.CodeInvalid); status != 400 {
		t.Errorf("%d", status)
	}
}

func TestImportedConsent(t *testing.T) {
	h, store := consenting(t)
	when := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	status, body := call(t, h, "POST", "/v1/connections", strings.Replace(cloudConnection, `"scopes"`, `"consented_at": "2026-10-01T00:00:00Z", "scopes"`, 1))
	if added := decodeInto[admin.Invited](t, body); status != 201 || added.State != "active" || added.ConsentURL != "" {
		t.Errorf("%d %s", status, body)
	}
	if cred, err := store.Credential(t.Context(), "acme"); err != nil || !cred.ConsentedAt.Equal(when) {
		t.Errorf("consented at %s (%v)", cred.ConsentedAt, err)
	}
}

func TestReplacedCredentialKeepsWhatItBelongsTo(t *testing.T) {
	h, store := consenting(t)
	put := func(id, body string, status int) string {
		t.Helper()
		got, answer := call(t, h, "PUT", "/v1/connections/"+id+"/credential", body)
		if got != status {
			t.Errorf("%s: %d %s", id, got, answer)
		}
		return answer
	}
	stored := func(id string) tokenstore.Credential {
		t.Helper()
		c, err := store.Credential(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	call(t, h, "POST", "/v1/connections", `{"id": "dc", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": {"kind": "oauth2", "client_id": "gate", "client_secret": "S3cretOne"}}`)
	put("dc", `{"kind": "oauth2"}`, 400)
	put("dc", `{"kind": "oauth2", "access_token": "S3cretAccess", "refresh_token": "S3cretRefresh"}`, 200)
	if c := stored("dc"); c.ClientID != "gate" || c.ClientSecret.Reveal() != "S3cretOne" || c.RedirectURL != gateRedirect || c.AccessToken.Reveal() != "S3cretAccess" {
		t.Error("the tokens lost their client")
	}
	put("dc", `{"kind": "oauth2", "client_id": "gate", "client_secret": "S3cretTwo"}`, 200)
	if c := stored("dc"); c.ClientSecret.Reveal() != "S3cretTwo" || c.RefreshToken.Reveal() != "S3cretRefresh" {
		t.Error("the new client secret cost the tokens")
	}
	if answer := put("dc", `{"kind": "oauth2", "client_id": "another", "client_secret": "S3cretTwo"}`, 400); !strings.Contains(answer, "no token") {
		t.Errorf("another client without tokens: %s", answer)
	}

	call(t, h, "POST", "/v1/connections", `{"id": "link", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": {"kind": "oauth1", "consumer_key": "gate"}}`)
	key := stored("link").PrivateKey
	put("link", `{"kind": "oauth1", "token": "S3cretToken"}`, 200)
	if c := stored("link"); !c.PrivateKey.Equal(key) || c.ConsumerKey != "gate" || c.Token.Reveal() != "S3cretToken" {
		t.Error("the token lost its key")
	}
}

func TestCredentialBodyPrintsRedacted(t *testing.T) {
	n := admin.NewConnection{Credential: tokenstore.Credential{
		Kind: tokenstore.KindOAuth1, ConsumerKey: "gate", PrivateKey: secret.New("S3cretKey"), ClientSecret: secret.New("S3cretClient"),
	}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(verb, n); strings.Contains(s, "S3cret") {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}

// A connection that was paused because Jira refused the password goes on when an
// operator says so.
func TestEnableAfterAPause(t *testing.T) {
	h, store := consenting(t)
	call(t, h, "POST", "/v1/connections", basicConnection)
	if err := store.SetState(t.Context(), "globex", tokenstore.StateNeedsReauthorisation, "Jira refused the password"); err != nil {
		t.Fatal(err)
	}
	_, body := call(t, h, "POST", "/v1/connections/globex/enable", "")
	if c := decodeInto[admin.Connection](t, body); c.State != "active" || c.StateReason != "" {
		t.Errorf("%s", body)
	}
}

func TestEnableWhatEndsSoon(t *testing.T) {
	h, store := consenting(t)
	call(t, h, "POST", "/v1/connections", cloudConnection)
	cred, err := store.Credential(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	cred.EndsAt = time.Now().Add(24 * time.Hour)
	if err := store.ReplaceCredential(t.Context(), "acme", cred.Generation, cred); err != nil {
		t.Fatal(err)
	}
	call(t, h, "POST", "/v1/connections/acme/disable", "")
	_, body := call(t, h, "POST", "/v1/connections/acme/enable", "")
	if c := decodeInto[admin.Connection](t, body); c.State != "expiring" || !strings.Contains(c.StateReason, "consent anew") {
		t.Errorf("%s", body)
	}
}

// consenter has a grant, and revokes as it is told.
type consenter struct {
	consent.Consenter
	status  oauth.GrantStatus
	err     error
	revoked func(ctx context.Context) (oauth.Revocation, error)
}

func (c *consenter) Status(context.Context, string) (oauth.GrantStatus, error) {
	return c.status, c.err
}

func (c *consenter) Revoke(ctx context.Context, _ string) (oauth.Revocation, error) {
	return c.revoked(ctx)
}

func TestGrantIsShown(t *testing.T) {
	when := func(hour int) time.Time { return time.Date(2026, 11, 24, hour, 0, 0, 0, time.UTC) }
	c := &consenter{status: oauth.GrantStatus{
		Consented: true, ConsentedAt: when(1), AccessExpiresAt: when(2), LapsesAt: when(3), EndsAt: when(4),
		Rotation: oauth.RotationAmbiguous, RotationSince: when(5), NextRefreshAt: when(6),
	}}
	h, _ := consenting(t, func(o *admin.Options) { o.Consenter = c })
	call(t, h, "POST", "/v1/connections", cloudConnection)
	call(t, h, "POST", "/v1/connections", basicConnection)
	_, body := call(t, h, "GET", "/v1/connections/acme", "")
	want := admin.Grant{
		Consented: true, ConsentedAt: when(1), AccessExpiresAt: when(2), LapsesAt: when(3), EndsAt: when(4),
		Rotation: "ambiguous", RotationSince: when(5), NextRefreshAt: when(6),
	}
	if got := decodeInto[admin.Connection](t, body).Grant; got == nil || *got != want {
		t.Errorf("%s", body)
	}
	if _, body := call(t, h, "GET", "/v1/connections/globex", ""); strings.Contains(body, "grant") {
		t.Errorf("a password has a grant: %s", body)
	}
	c.err = tokenstore.ErrCorrupt
	if status, _ := call(t, h, "GET", "/v1/connections/acme", ""); status != 500 {
		t.Errorf("status %d", status)
	}
}

func TestRemoval(t *testing.T) {
	const dataCenter = `{"id": "acme", "edition": "datacenter", "base_url": "https://jira.acme.com", "credential": `
	const oauth2 = dataCenter + `{"kind": "oauth2", "client_id": "gate", "client_secret": "S3cret", "access_token": "S3cret"}}`
	answers := func(r oauth.Revocation, err error) func(context.Context) (oauth.Revocation, error) {
		return func(ctx context.Context) (oauth.Revocation, error) {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 20*time.Second {
				return "", errors.New("there is no bound")
			}
			return r, err
		}
	}
	for _, tt := range []struct {
		name, body string
		consenter  admin.Consenter
		revocation string
		detail     string
	}{
		{"cloud", cloudConnection, nil, "not_offered", "connected apps"},
		{"password", strings.Replace(basicConnection, "globex", "acme", 1), nil, "not_offered", "password of the account"},
		{"token", dataCenter + `{"kind": "pat", "token": "S3cret"}}`, nil, "not_offered", "personal access token"},
		{"application link", dataCenter + `{"kind": "oauth1", "consumer_key": "gate"}}`, nil, "not_offered", "application link"},
		{"OAuth 2.0, revoked", oauth2, &consenter{revoked: answers(oauth.RevocationDone, nil)}, "done", ""},
		{"OAuth 2.0, not offered", oauth2, &consenter{revoked: answers(oauth.RevocationNotOffered, nil)}, "not_offered", "authorised applications"},
		{"OAuth 2.0, failed", oauth2, &consenter{revoked: answers("", oauth.ErrUnavailable)}, "failed", "authorised applications"},
		{"OAuth 2.0, no way there", oauth2, nil, "failed", "authorised applications"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, store := consenting(t, func(o *admin.Options) { o.Consenter = tt.consenter })
			if status, body := call(t, h, "POST", "/v1/connections", tt.body); status != 201 {
				t.Fatalf("%d %s", status, body)
			}
			status, body := call(t, h, "DELETE", "/v1/connections/acme", "")
			r := decodeInto[admin.Removal](t, body)
			if status != 200 || r.ID != "acme" || r.Revocation != tt.revocation || !strings.Contains(r.Detail, tt.detail) || (r.Detail == "") != (tt.detail == "") {
				t.Errorf("%d %s", status, body)
			}
			if len(store.Directory().Connections()) > 0 {
				t.Error("it is still there")
			}
		})
	}
}

func TestImportIssues(t *testing.T) {
	h, store := consenting(t)
	call(t, h, "POST", "/v1/connections", basicConnection)
	const path = "/v1/connections/globex/issues"
	many := func(n int) string {
		issues := make([]admin.ImportedIssue, n)
		for i := range issues {
			issues[i] = admin.ImportedIssue{ID: fmt.Sprint(10_000 + i), Key: fmt.Sprint("ACME-", 1+i), CreatedAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
		}
		b, err := json.Marshal(admin.ImportIssues{Issues: issues})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if status, body := call(t, h, "POST", path, many(1000)); status != 200 || decodeInto[admin.IssuesImported](t, body).Added != 1000 {
		t.Errorf("%d %s", status, body)
	}
	if status, body := call(t, h, "POST", path, `{"issues": [{"key": "ACME-7"}, {"id": "99999"}]}`); status != 200 || decodeInto[admin.IssuesImported](t, body).Added != 1 {
		t.Errorf("%d %s", status, body)
	}
	for _, id := range []string{"10999", "ACME-1000", "99999"} {
		if ok, err := store.IssuePublished(t.Context(), "globex", id); err != nil || !ok {
			t.Errorf("%s is not known (%v)", id, err)
		}
	}
	for _, bad := range []string{many(1001), many(0), `{"issues": [{}]}`, `{"issues": [{"id": "x"}]}`, `{"issues": [{"key": "ACME-1; DROP"}]}`} {
		status, body := call(t, h, "POST", path, bad)
		if wantCode(t, body, admin.CodeInvalid); status != 400 {
			t.Errorf("%.60s: %d", bad, status)
		}
	}
	if status, _ := call(t, h, "POST", "/v1/connections/nowhere/issues", many(1)); status != 404 {
		t.Errorf("unknown connection: %d", status)
	}
}
