package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

func credentialTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"credentials of all kinds come back as they were": func(t *testing.T, s tokenstore.Store) {
			pat := DataCenterConnection("pat")
			pat.CredentialKind = tokenstore.KindPAT
			for _, test := range []struct {
				c    tokenstore.Connection
				cred tokenstore.Credential
			}{
				{CloudConnection("oauth2"), OAuth2("1")},
				{CloudConnection("fresh"), tokenstore.Credential{Kind: tokenstore.KindOAuth2, RefreshToken: secret.New("r")}},
				{DataCenterConnection("basic"), Basic(`quote " backslash \ <&> ü 漢 ` + "\u2028")},
				{pat, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New("MTIz+/==")}},
			} {
				mustDo(t, s.AddConnection(t.Context(), test.c, test.cred))
				got, err := s.Credential(t.Context(), test.c.ID)
				mustDo(t, err)
				test.cred.Generation = 1
				if d := cmp.Diff(test.cred, got); d != "" {
					t.Errorf("%s: %s", test.c.ID, d)
				}
			}
			_, err := s.Credential(t.Context(), "nobody")
			wantErr(t, err, tokenstore.ErrNotFound, "the credential of an unknown connection")
		},
		"a replacement counts up": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for g := uint64(1); g < 4; g++ {
				next := OAuth2(fmt.Sprint(g + 1))
				next.Generation = 99 // not looked at
				mustDo(t, s.ReplaceCredential(t.Context(), "acme", g, next))
				got, err := s.Credential(t.Context(), "acme")
				mustDo(t, err)
				if got.Generation != g+1 || got.RefreshToken.Reveal() != fmt.Sprint("refresh-", g+1) {
					t.Errorf("after replacing generation %d it is %d with %q", g, got.Generation, got.RefreshToken.Reveal())
				}
			}
		},
		"only the present generation is replaced": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.ReplaceCredential(t.Context(), "acme", 1, OAuth2("2")))
			for _, g := range []uint64{0, 1, 3, 1 << 63} {
				unchanged(t, s, tokenstore.ErrConflict, fmt.Sprint("replacing generation ", g), func() error {
					return s.ReplaceCredential(t.Context(), "acme", g, OAuth2("3"))
				})
			}
			wantErr(t, s.ReplaceCredential(t.Context(), "nobody", 1, OAuth2("2")), tokenstore.ErrNotFound, "an unknown connection")
		},
		"only what is valid replaces": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for name, c := range map[string]tokenstore.Credential{
				"nothing": {}, "another kind": Basic("hunter2"), "a token of two lines": OAuth2("1\n"),
			} {
				unchanged(t, s, tokenstore.ErrInvalid, name, func() error {
					return s.ReplaceCredential(t.Context(), "acme", 1, c)
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
					if err := s.ReplaceCredential(t.Context(), "acme", 1, OAuth2(fmt.Sprint("racer-", i))); err == nil {
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
			if c, err := s.Credential(t.Context(), "acme"); err != nil || c.Generation != 2 {
				t.Errorf("generation %d, %v", c.Generation, err)
			}
		},
		"a new credential reactivates a connection that waits for one": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.SetState(t.Context(), "acme", tokenstore.StateNeedsReauthorisation, "invalid_grant"),
				s.ReplaceCredential(t.Context(), "acme", 1, OAuth2("2")))
			if c, _ := s.Directory().Connection("acme"); c.State != tokenstore.StateActive || c.StateReason != "" {
				t.Errorf("its state is %s, %q", c.State, c.StateReason)
			}
		},
		"a new credential does not enable a disabled connection": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "by hand"),
				s.ReplaceCredential(t.Context(), "acme", 1, OAuth2("2")))
			if c, _ := s.Directory().Connection("acme"); c.State != tokenstore.StateDisabled || c.StateReason != "by hand" {
				t.Errorf("its state is %s, %q", c.State, c.StateReason)
			}
		},
	}
}
