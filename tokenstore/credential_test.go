package tokenstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// hidden is in every secret of these tests, and must be in no error.
const hidden = "hunter2"

func basic(username, password string) tokenstore.Credential {
	return tokenstore.Credential{Kind: tokenstore.KindBasic, Username: username, Password: secret.New(password)}
}

func pat(token string) tokenstore.Credential {
	return tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New(token)}
}

func oauth2(access, refresh string) tokenstore.Credential {
	return tokenstore.Credential{
		Kind:         tokenstore.KindOAuth2,
		AccessToken:  secret.New(access),
		RefreshToken: secret.New(refresh),
		Expiry:       time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Scopes:       []string{"read:jira-work", "offline_access"},
	}
}

func ownClient(c *tokenstore.Credential) {
	c.ClientID, c.ClientSecret, c.RedirectURL = "jiragate", secret.New(hidden), "https://gateway.example/oauth/callback"
}

func oauth1(token string) tokenstore.Credential {
	return tokenstore.Credential{
		Kind: tokenstore.KindOAuth1, ConsumerKey: "jiragate", PrivateKey: secret.New("-----BEGIN " + hidden), Token: secret.New(token),
	}
}

func TestCredentials(t *testing.T) {
	with := func(c tokenstore.Credential, edit func(*tokenstore.Credential)) tokenstore.Credential {
		edit(&c)
		return c
	}
	tests := []struct {
		name string
		c    tokenstore.Credential
		want string // in the error; empty: valid
	}{
		{"basic", basic("svc-jiragate", hidden), ""},
		{"password with a colon, a space, letters of all kinds", basic("svc", hidden+": ü 漢 "), ""},
		{"no user name", basic("", hidden), "the user name is empty"},
		{"no password", basic("svc", ""), "the password is empty"},
		{"colon in the user name", basic("svc:"+hidden, hidden), "colon"},
		{"line break in the user name", basic("svc\n", hidden), "control characters"},
		{"line break after the password", basic("svc", hidden+"\n"), "line break"},
		{"CRLF in the password", basic("svc", hidden+"\r\nX-Evil: 1"), "control characters"},
		{"NUL in the password", basic("svc", hidden+"\x00"), "control characters"},
		{"C1 control in the password", basic("svc", hidden+"\u0085"), "control characters"},
		{"password not UTF-8", basic("svc", hidden+"\xff"), "UTF-8"},
		{"endless user name", basic(strings.Repeat("a", 256), hidden), "255 bytes"},
		{"endless password", basic("svc", hidden+strings.Repeat("a", 4096)), "4096 bytes"},
		{"basic with a token", with(basic("svc", hidden), func(c *tokenstore.Credential) { c.Token = secret.New(hidden) }), "nothing else"},
		{"basic with an expiry", with(basic("svc", hidden), func(c *tokenstore.Credential) { c.Expiry = time.Now() }), "nothing else"},

		{"pat", pat("MTIzNDU2Nzg5MDEyOi+/" + hidden + "=="), ""},
		{"empty pat", pat(""), "the token is empty"},
		{"pat with a line break after it", pat(hidden + "\n"), "line break"},
		{"pat with a space", pat("Bearer " + hidden), "visible ASCII"},
		{"pat with a letter that is not ASCII", pat(hidden + "ü"), "visible ASCII"},
		{"pat with DEL", pat(hidden + "\x7f"), "visible ASCII"},
		{"endless pat", pat(hidden + strings.Repeat("a", 16<<10)), "16384 bytes"},
		{"pat with a user name", with(pat(hidden), func(c *tokenstore.Credential) { c.Username = "svc" }), "nothing else"},

		{"oauth2", oauth2("a"+hidden, "r"+hidden), ""},
		{"oauth2 before its first refresh", oauth2("", hidden), ""},
		{"oauth2 without offline access", oauth2(hidden, ""), ""},
		{"oauth2 without tokens", oauth2("", ""), "both"},
		{"oauth2 before the consent", tokenstore.Credential{Kind: tokenstore.KindOAuth2}, ""},
		{"oauth2 with a client of its own", with(oauth2(hidden, hidden), ownClient), ""},
		{"oauth2 without a client secret", with(oauth2(hidden, hidden), func(c *tokenstore.Credential) { c.ClientID = "id" }), "client secret is empty"},
		{"oauth2 without a client id", with(oauth2(hidden, hidden), func(c *tokenstore.Credential) { c.ClientSecret = secret.New(hidden) }), "client id is empty"},
		{"client secret with a line break", with(with(oauth2(hidden, hidden), ownClient), func(c *tokenstore.Credential) { c.ClientSecret = secret.New(hidden + "\n") }), "client secret"},
		{"client id with a space", with(with(oauth2(hidden, hidden), ownClient), func(c *tokenstore.Credential) { c.ClientID = "a b" }), "client id"},
		{"oauth2 with a private key", with(oauth2(hidden, hidden), func(c *tokenstore.Credential) { c.PrivateKey = secret.New(hidden) }), "nothing else"},

		{"oauth1", oauth1(hidden), ""},
		{"oauth1 before the consent", oauth1(""), ""},
		{"oauth1 without a consumer key", with(oauth1(hidden), func(c *tokenstore.Credential) { c.ConsumerKey = "" }), "consumer key is empty"},
		{"oauth1 without a private key", with(oauth1(hidden), func(c *tokenstore.Credential) { c.PrivateKey = secret.Secret{} }), "private key is empty"},
		{"endless private key", with(oauth1(hidden), func(c *tokenstore.Credential) { c.PrivateKey = secret.New(strings.Repeat(hidden, 4096)) }), "16384 bytes"},
		{"oauth1 with a refresh token", with(oauth1(hidden), func(c *tokenstore.Credential) { c.RefreshToken = secret.New(hidden) }), "nothing else"},
		{"access token with a line break", oauth2(hidden+"\n", hidden), "access token"},
		{"refresh token with a tab", oauth2(hidden, hidden+"\t"), "refresh token"},
		{"oauth2 with a password", with(oauth2(hidden, hidden), func(c *tokenstore.Credential) { c.Password = secret.New(hidden) }), "nothing else"},
		{"oauth2 with scopes in one string", with(oauth2(hidden, hidden), func(c *tokenstore.Credential) { c.Scopes = []string{"a b"} }), "one scope an entry"},

		{"no kind", tokenstore.Credential{Token: secret.New(hidden)}, `use "oauth2", "oauth1", "basic" or "pat"`},
		{"unknown kind", tokenstore.Credential{Kind: "cookie", Token: secret.New(hidden)}, `use "oauth2", "oauth1", "basic" or "pat"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.c.Validate()
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, tokenstore.ErrInvalid) {
				t.Fatalf("error %v, want ErrInvalid", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("error %q quotes a secret", err)
			}
		})
	}
}

func withOwnClient() tokenstore.Credential {
	c := oauth2(hidden, hidden)
	ownClient(&c)
	return c
}

func TestWhatACredentialIsWorth(t *testing.T) {
	for name, test := range map[string]struct {
		c    tokenstore.Credential
		want bool
	}{
		"basic":                      {basic("svc", hidden), true},
		"pat":                        {pat(hidden), true},
		"oauth2":                     {oauth2(hidden, ""), true},
		"oauth2, refresh token only": {oauth2("", hidden), true},
		"oauth2 before the consent":  {tokenstore.Credential{Kind: tokenstore.KindOAuth2}, false},
		"oauth1":                     {oauth1(hidden), true},
		"oauth1 before the consent":  {oauth1(""), false},
	} {
		if got := test.c.Consented(); got != test.want {
			t.Errorf("%s: consented %v, want %v", name, got, test.want)
		}
	}
}

func TestGrantsAnnounceTheirEnd(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		ends, lapses time.Time
		want         string
	}{
		"no clock is known":       {time.Time{}, time.Time{}, ""},
		"both far away":           {now.Add(31 * day), now.Add(15 * day), ""},
		"the end is a month away": {now.Add(30 * day), now.Add(90 * day), "the grant ends at 2026-12-24T00:00:00Z"},
		"it has ended":            {now.Add(-day), now.Add(90 * day), "the grant ends at 2026-11-23T00:00:00Z"},
		"unused for long":         {now.Add(300 * day), now.Add(14 * day), "the refresh token lapses at 2026-12-08T00:00:00Z"},
		"both":                    {now.Add(day), now.Add(day), "the grant ends"},
	} {
		c := tokenstore.Credential{Kind: tokenstore.KindOAuth2, EndsAt: test.ends, LapsesAt: test.lapses}
		if got := c.Ending(now); (got == "") != (test.want == "") || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestCredentialsPrintRedacted(t *testing.T) {
	for _, c := range []tokenstore.Credential{basic("svc", hidden), pat(hidden), oauth2(hidden, hidden), oauth1(hidden), withOwnClient()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			for _, v := range []any{c, &c, []tokenstore.Credential{c}, struct{ c tokenstore.Credential }{c}} {
				if got := fmt.Sprintf(verb, v); strings.Contains(got, hidden) || strings.Contains(got, fmt.Sprintf("%x", hidden)) {
					t.Errorf("%s prints %s", verb, got)
				}
			}
		}
		b, err := json.Marshal(c)
		if err != nil || strings.Contains(string(b), hidden) {
			t.Errorf("JSON is %s, %v", b, err)
		}
	}
}

// What is valid reaches a server as it is: the transport neither refuses it,
// which would quote it in an error, nor changes it.
func FuzzCredentialsFitAHeader(f *testing.F) {
	f.Add("svc", "secret", "token")
	f.Add("svc:", "a\r\nb", "a b")
	f.Add("ü", "\x7f", "\u2028")
	f.Fuzz(func(t *testing.T, username, password, token string) {
		if c := basic(username, password); c.Validate() == nil {
			r := http.Request{Header: http.Header{}}
			r.SetBasicAuth(c.Username, c.Password.Reveal())
			u, p, ok := r.BasicAuth()
			if !ok || u != username || p != password {
				t.Errorf("basic authentication carries %q and %q", u, p)
			}
			if strings.ContainsAny(username+password, "\r\n\x00") {
				t.Error("control characters pass")
			}
		}
		if c := pat(token); c.Validate() == nil {
			value := "Bearer " + c.Token.Reveal()
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) || strings.Fields(value)[1] != token || len(strings.Fields(value)) != 2 {
				t.Errorf("the header would be %q", value)
			}
		}
	})
}
