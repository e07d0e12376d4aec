package oauth

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

func TestEncode(t *testing.T) {
	form := url.Values{"client_secret": {`a"b\c&d=e%f+g ü`}, "grant_type": {"refresh_token"}}
	got, contentType, err := (&tokenTransport{json: true}).encode(io.NopCloser(strings.NewReader(form.Encode())))
	if err != nil || contentType != "application/json" {
		t.Fatal(contentType, err)
	}
	var object map[string]string
	if err := json.Unmarshal(got, &object); err != nil {
		t.Fatal(err)
	}
	if len(object) != len(form) || object["client_secret"] != form.Get("client_secret") || object["grant_type"] != "refresh_token" {
		t.Errorf("%v became %s", form, got)
	}
	for _, bad := range []string{"a=1&a=2", "a=%zz", "a=1;b=2"} {
		if got, _, err := (&tokenTransport{json: true}).encode(io.NopCloser(strings.NewReader(bad))); err == nil {
			t.Errorf("%q became %s", bad, got)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"1.5":                           0,
		"soon":                          0,
		"3601":                          maxRetryAfter,
		"99999999999999999999":          0,
		"Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
		"Mon, 01 Mar 2100 12:00:00 GMT": maxRetryAfter,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

// FuzzAnswer: whatever Atlassian answers, the outcome is a grant that can be
// stored or not, or an error of ours; a grant is condemned for the one reason
// only; and no error repeats what was answered.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"a","refresh_token":"b","expires_in":3600,"scope":"read:jira-work"}`)
	f.Add(200, "text/plain", "access_token=a")
	f.Add(403, "application/json", `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`)
	f.Add(400, "text/html", "<html>invalid_grant</html>")
	f.Add(401, "application/json", `{"error":"invalid_client"}`)
	f.Add(302, "", "")
	f.Add(200, "application/json", `{"access_token":"a","expires_in":1e999}`)
	f.Add(200, "application/json", `{"access_token":"a","expires_in":"NaN"}`)
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 200 || status > 599 {
			return // not a final status: no transport gives one
		}
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			if _, err := io.ReadAll(r.Body); err != nil {
				return nil, err
			}
			return &http.Response{
				StatusCode: status, Request: r, Header: http.Header{"Content-Type": {contentType}},
				Body: io.NopCloser(strings.NewReader(body)),
			}, nil
		})
		m := New(Options{
			AuthURL: "https://auth.example", ClientID: clientID, ClientSecret: secret.New(clientSecret),
			Transport: func(*tokenstore.Connection) http.RoundTripper { return transport },
		})
		before := time.Now()
		c := &tokenstore.Connection{ID: "acme", Edition: policy.Cloud}
		p, err := m.provider(c, &tokenstore.Credential{})
		if err != nil {
			t.Fatal(err)
		}
		g, fail := m.exchange(t.Context(), c, &p, secret.New(refreshToken(0)), &tokenstore.Claim{})
		if fail != nil {
			err = fail.err
		}
		var object struct {
			Error string `json:"error"`
		}
		isJSON := json.Unmarshal([]byte(body), &object) == nil
		switch {
		case err == nil:
			if g.accessToken.IsZero() || g.refreshToken.IsZero() || status > 299 {
				t.Errorf("status %d made a grant of %q", status, body)
			}
			if g.lifetime < time.Second || g.lifetime > maxLifetime || g.expiry.Before(before.Add(time.Second)) {
				t.Errorf("a lifetime of %v until %v", g.lifetime, g.expiry)
			}
			c := renewed(&p, tokenstore.Credential{Kind: tokenstore.KindOAuth2, Scopes: []string{"old"}}, g, before)
			tokens := c
			tokens.Scopes = nil
			if tokens.Validate() == nil && c.Validate() != nil {
				t.Errorf("the scopes %q cost the tokens", c.Scopes)
			}
		case errors.Is(err, errDeadGrant):
			if !isJSON || object.Error != "invalid_grant" || !slices.Contains([]int{400, 401, 403}, status) {
				t.Errorf("condemned for status %d and %q", status, body)
			}
		case fail.untouched && (!isJSON || !slices.Contains(definiteCodes, object.Error)):
			t.Errorf("status %d and %q are taken for certain", status, body)
		case !passing(err):
			t.Errorf("an error of no kind: %v", err)
		}
		if err != nil && len(body) > 20 && strings.Contains(err.Error(), body) {
			t.Errorf("the error repeats the answer: %v", err)
		}
	})
}
