package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

func credentialTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"credentials of all kinds come back as they were": func(t *testing.T, s tokenstore.Store) {
			pat := DataCenterConnection("pat")
			pat.CredentialKind = tokenstore.KindPAT
			link := DataCenterConnection("link")
			link.CredentialKind = tokenstore.KindOAuth1
			granted := OAuth1("1")
			granted.ConsentedAt = time.Date(2025, 3, 4, 5, 6, 7, 800, time.UTC)
			granted.EndsAt = granted.ConsentedAt.AddDate(5, 0, 0)
			provider := DataCenterConnection("provider")
			provider.CredentialKind = tokenstore.KindOAuth2
			full := OAuth2("2")
			full.ClientID, full.ClientSecret, full.RedirectURL = "client", secret.New("hunter2"), "https://gateway.example/oauth/callback"
			full.ConsentedAt, full.LapsesAt, full.EndsAt = granted.ConsentedAt, granted.EndsAt.Add(time.Hour), granted.EndsAt
			for _, test := range []struct {
				c    tokenstore.Connection
				cred tokenstore.Credential
			}{
				{CloudConnection("oauth2"), OAuth2("1")},
				{CloudConnection("fresh"), tokenstore.Credential{Kind: tokenstore.KindOAuth2, RefreshToken: secret.New("r")}},
				{DataCenterConnection("basic"), Basic(`quote " backslash \ <&> ü 漢 ` + "\u2028")},
				{pat, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New("MTIz+/==")}},
				{link, granted},
				{provider, full},
			} {
				mustDo(t, s.AddConnection(t.Context(), test.c, test.cred))
				got, err := s.Credential(t.Context(), test.c.ID)
				mustDo(t, err)
				test.cred.Generation = FirstGeneration(s, test.c.ID)
				if d := cmp.Diff(test.cred, got); d != "" {
					t.Errorf("%s: %s", test.c.ID, d)
				}
			}
			_, err := s.Credential(t.Context(), "nobody")
			wantErr(t, err, tokenstore.ErrNotFound, "the credential of an unknown connection")
		},
		"a replacement counts up": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			first := FirstGeneration(s, "acme")
			for g := first; g < first+3; g++ {
				next := OAuth2(fmt.Sprint(g + 1))
				next.Generation = 99 // not looked at
				mustDo(t, s.ReplaceCredential(t.Context(), "acme", g, next))
				got, err := s.Credential(t.Context(), "acme")
				mustDo(t, err)
				if got.Generation != g+1 || got.RefreshToken.Reveal() != fmt.Sprint("refresh-", g+1) {
					t.Errorf("after replacing generation %d it is %d with %q", g, got.Generation, got.RefreshToken.Reveal())
				}
			}
			if FirstGeneration(s, "acme") != first {
				t.Error("the connection is a new incarnation")
			}
		},
		"only the present generation is replaced": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("2")))
			first := FirstGeneration(s, "acme")
			another := tokenstore.FirstGeneration(tokenstore.Incarnation(first) + 1)
			for _, g := range []uint64{0, 2, first - 1, first, first + 2, another, another + 1, 1 << 63} {
				unchanged(t, s, tokenstore.ErrConflict, fmt.Sprint("replacing generation ", g), func() error {
					return s.ReplaceCredential(t.Context(), "acme", g, OAuth2("3"))
				})
			}
			wantErr(t, s.ReplaceCredential(t.Context(), "nobody", first+1, OAuth2("2")), tokenstore.ErrNotFound, "an unknown connection")
		},
		"only what is valid replaces": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for name, c := range map[string]tokenstore.Credential{
				"nothing": {}, "another kind": Basic("hunter2"), "a token of two lines": OAuth2("1\n"),
			} {
				unchanged(t, s, tokenstore.ErrInvalid, name, func() error {
					return s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), c)
				})
			}
		},
		"of many replacements of one generation, one succeeds": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			var (
				wg  sync.WaitGroup
				won atomic.Int64
			)
			for i := range 8 {
				wg.Go(func() {
					if err := s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2(fmt.Sprint("racer-", i))); err == nil {
						won.Add(1)
					} else {
						wantErr(t, err, tokenstore.ErrConflict, "a replacement that came too late")
					}
				})
			}
			wg.Wait()
			if n := won.Load(); n != 1 {
				t.Errorf("%d replacements succeeded", n)
			}
			if c, err := s.Credential(t.Context(), "acme"); err != nil || c.Generation != FirstGeneration(s, "acme")+1 {
				t.Errorf("generation %d, %v", c.Generation, err)
			}
		},
		"a new credential reactivates a connection that waits for one": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.SetState(t.Context(), "acme", tokenstore.StateNeedsReauthorisation, "invalid_grant"),
				s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("2")))
			if c, _ := s.Directory().Connection("acme"); c.State != tokenstore.StateActive || c.StateReason != "" {
				t.Errorf("its state is %s, %q", c.State, c.StateReason)
			}
		},
		"a new credential does not enable a disabled connection": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "by hand"),
				s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("2")))
			if c, _ := s.Directory().Connection("acme"); c.State != tokenstore.StateDisabled || c.StateReason != "by hand" {
				t.Errorf("its state is %s, %q", c.State, c.StateReason)
			}
		},
		"the connection has the scopes of its new credential": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			before, _ := s.Directory().Connection("acme")
			was := slices.Clone(before.Scopes)
			for _, scopes := range [][]string{{"read:jira-user"}, {"read:jira-user"}, {"read:jira-user", "read:jira-work"}, nil, OAuth2("2").Scopes} {
				old, err := s.Credential(t.Context(), "acme")
				mustDo(t, err)
				next := OAuth2("2")
				next.Scopes = slices.Clone(scopes)
				mustDo(t, s.ReplaceCredential(t.Context(), "acme", old.Generation, next))
				if len(next.Scopes) > 0 {
					next.Scopes[0] = "changed afterwards"
				}
				c, _ := s.Directory().Connection("acme")
				if !slices.Equal(c.Scopes, scopes) || c.Incarnation != before.Incarnation || !c.UpdatedAt.After(before.UpdatedAt) {
					t.Errorf("with scopes %q it is %+v", scopes, c)
				}
				if got, err := s.Credential(t.Context(), "acme"); err != nil || !slices.Equal(got.Scopes, scopes) {
					t.Errorf("its credential has scopes %q, %v", got.Scopes, err)
				}
				mustDo(t, s.Check(t.Context()))
			}
			if !slices.Equal(before.Scopes, was) {
				t.Error("a directory handed out before has changed")
			}
		},
		"a credential without scopes gives the connection none": func(t *testing.T, s tokenstore.Store) {
			pat := DataCenterConnection("pat")
			pat.CredentialKind = tokenstore.KindPAT
			mustDo(t,
				s.AddConnection(t.Context(), DataCenterConnection("basic"), Basic("hunter2")),
				s.AddConnection(t.Context(), pat, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New("1")}))
			before := s.Directory()
			mustDo(t,
				s.ReplaceCredential(t.Context(), "basic", FirstGeneration(s, "basic"), Basic("hunter3")),
				s.ReplaceCredential(t.Context(), "pat", FirstGeneration(s, "pat"), tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New("2")}))
			if d := cmp.Diff(before.Connections(), s.Directory().Connections()); d != "" {
				t.Error(d)
			}
		},
		"only the present credential makes its connection wait for another": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("2")))
			first := FirstGeneration(s, "acme")
			require := func(generation uint64, reason string) func() error {
				return func() error { return s.RequireReauthorisation(t.Context(), "acme", generation, reason) }
			}
			for _, g := range []uint64{0, 2, first, first + 2, tokenstore.FirstGeneration(tokenstore.Incarnation(first)+1) + 1} {
				unchanged(t, s, tokenstore.ErrConflict, fmt.Sprint("because of generation ", g), require(g, "invalid_grant"))
			}
			unchanged(t, s, tokenstore.ErrInvalid, "for a reason of two lines", require(first+1, "a\nb"))
			wantErr(t, s.RequireReauthorisation(t.Context(), "nobody", first+1, ""), tokenstore.ErrNotFound, "an unknown connection")

			before, _ := s.Directory().Connection("acme")
			mustDo(t, require(first+1, "invalid_grant")())
			c, _ := s.Directory().Connection("acme")
			if c.State != tokenstore.StateNeedsReauthorisation || c.StateReason != "invalid_grant" || !c.StateSince.After(before.StateSince) {
				t.Errorf("it is %+v", c)
			}
			unchanged(t, s, nil, "again, for another reason", require(first+1, "said otherwise"))
			mustDo(t, s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "by hand"))
			unchanged(t, s, nil, "while it is disabled", require(first+1, "invalid_grant"))
		},
	}
}
