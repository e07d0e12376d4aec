package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// TestNothingSecretOfAConsent comes out (G5): codes, verifiers, states, tokens,
// client secrets and keys, whatever the server does with them. It gives back all
// that it was sent, in every way of answering.
func TestNothingSecretOfAConsent(t *testing.T) {
	key, err := applink.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	const code, verifier = "code-" + mark, "verifier-" + mark
	credentials := map[tokenstore.CredentialKind]tokenstore.Credential{
		tokenstore.KindOAuth2: {Kind: tokenstore.KindOAuth2, ClientID: clientID, ClientSecret: secret.New(clientSecret), RedirectURL: redirectURL,
			AccessToken: secret.New(accessToken(0)), RefreshToken: secret.New(refreshToken(0))},
		tokenstore.KindOAuth1: {Kind: tokenstore.KindOAuth1, ConsumerKey: clientID, PrivateKey: key},
	}
	type way struct {
		status      int
		contentType string
		body        string // %q stands for what was sent, %s for the path
		fail        bool   // no answer at all
	}
	ways := []way{
		{status: 200, contentType: "application/json", body: `{"access_token":%q,"refresh_token":%q,"scope":%q,"expires_in":3600}`},
		{status: 200, contentType: "application/json", body: `{"access_token":"a` + mark + `","refresh_token":"r` + mark + `","scope":"WRITE read:jira-work write:jira-work read:jira-user offline_access ` + mark + `"}`},
		{status: 200, contentType: "application/json", body: `[{"id":%q,"url":%q,"name":%q,"scopes":[%q]}]`},
		{status: 200, contentType: "application/x-www-form-urlencoded", body: "oauth_token=t" + mark + "&oauth_token_secret=x&oauth_callback_confirmed=true&oauth_expires_in=100"},
		{status: 400, contentType: "application/json", body: `{"error":%q,"error_description":%q}`},
		{status: 401, contentType: "application/json", body: `{"error":"invalid_client","error_description":%q}`},
		{status: 403, contentType: "application/json", body: `{"error":"invalid_grant","error_description":%q}`},
		{status: 500, contentType: "text/html", body: "%q"},
		{fail: true},
	}
	const granting, promising = 1, 3 // of ways: tokens, and a request token
	for _, edition := range []policy.Edition{policy.Cloud, policy.DataCenter} {
		for kind, cred := range credentials {
			if edition == policy.Cloud && kind != tokenstore.KindOAuth2 {
				continue
			}
			for i := range len(ways) * len(ways) {
				// After an answer that a consent goes on from any other may come; after
				// the others it is enough to have them all.
				n, next := i/len(ways), i%len(ways)
				if n != granting && n != promising && n != next {
					continue
				}
				first, then := ways[n], ways[next]
				t.Run(fmt.Sprintf("%s %s %d", edition, kind, i), func(t *testing.T) {
					s := newStore(t, time.Hour)
					c := tokenstore.Connection{ID: "acme", Edition: edition, Region: tokenstore.RegionUS, CredentialKind: kind}
					if edition == policy.DataCenter {
						c.BaseURL = "https://jira.example"
					} else {
						cred.ClientID, cred.ClientSecret, cred.RedirectURL = "", secret.Secret{}, ""
						c.SiteURL, c.CloudID = "https://acme.atlassian.net", "11111111-2222-3333-4444-555555555555"
					}
					if err := errors.Join(storetest.Remove(t.Context(), s, "acme"), s.AddConnection(t.Context(), c, cred)); err != nil {
						t.Fatal(err)
					}
					n := 0
					transport := roundTrip(func(r *http.Request) (*http.Response, error) {
						var sent []byte
						if r.Body != nil {
							sent, _ = io.ReadAll(r.Body)
						}
						w := first
						if n++; n > 1 {
							w = then
						}
						if w.fail { // net/http may quote a body in an error, but no header
							return nil, fmt.Errorf("no answer to %s", sent)
						}
						sent = fmt.Append(sent, r.Header)
						body := strings.ReplaceAll(w.body, "%q", fmt.Sprintf("%q", sent))
						return &http.Response{StatusCode: w.status, Request: r, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{
							"Content-Type": {w.contentType}, "Location": {"https://evil.example/" + string(sent)},
							"Www-Authenticate": {`OAuth oauth_problem="` + string(sent) + `"`},
						}}, nil
					})
					var logged bytes.Buffer
					spans := tracetest.NewSpanRecorder()
					logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
					m := managerOn(t, s, "https://auth.example", transport, func(o *Options) {
						o.Logger = logger
						o.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
					})

					var all strings.Builder
					show := func(v any) {
						fmt.Fprintf(&all, "%v %+v %#v %s %q\n", v, v, v, v, v)
						if b, err := json.Marshal(v); err == nil {
							all.Write(b)
						}
						logger.Info("shown", "value", v)
						for err, ok := v.(error); ok && err != nil; err = errors.Unwrap(err) {
							fmt.Fprintf(&all, "%v %+v %#v\n", err, err, err)
						}
					}
					hidden := []secret.Secret{key, secret.New(key.Reveal()[40:80])}
					consent, err := m.BeginConsent(t.Context(), "acme")
					show(err)
					if err == nil {
						show(consent)
						hidden = append(hidden, secretsOf(consent)...)
						answer := url.Values{"state": {consent.State}, "code": {code}, "oauth_verifier": {verifier}, "oauth_token": {consent.request.Token.Reveal()}}
						g, err := m.FinishConsent(t.Context(), consent, answer)
						show(err)
						show(g)
						if err == nil {
							hidden = append(hidden, g.Credential.AccessToken, g.Credential.RefreshToken, g.Credential.Token)
							site, err := g.Site(s.connection(t))
							show(err)
							show(m.Connect(t.Context(), g, site))
						}
						answer.Set("error", mark)
						_, err = m.FinishConsent(t.Context(), consent, answer)
						show(err)
					}
					if kind == tokenstore.KindOAuth2 {
						show(forceRefresh(t.Context(), m, "acme"))
						_, err = m.Revoke(t.Context(), "acme")
						show(err)
					}
					status, err := m.Status(t.Context(), "acme")
					show(status)
					show(err)
					show(*s.connection(t))
					if err := m.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
					all.WriteString(logged.String())
					for _, span := range spans.Ended() {
						fmt.Fprintf(&all, "%s %v %v %v\n", span.Name(), span.Attributes(), span.Events(), span.Status())
					}
					for _, h := range append(hidden, secret.New(mark)) {
						if at := strings.Index(all.String(), h.Reveal()); at >= 0 && !h.IsZero() {
							t.Errorf("a secret came out: …%s…", all.String()[max(0, at-200):min(at+50, all.Len())])
						}
					}
				})
			}
		}
	}
}

// secretsOf is everything of a consent that must not be seen.
func secretsOf(c *Consent) []secret.Secret {
	return []secret.Secret{secret.New(c.State), secret.New(c.URL), c.verifier, c.request.Token}
}
