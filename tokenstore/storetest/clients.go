package storetest

import (
	"testing"

	"jiragate/tokenstore"
)

func clientTests() map[string]func(*testing.T, tokenstore.Store) {
	two := func(t *testing.T, s tokenstore.Store) {
		t.Helper()
		mustDo(t,
			s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
			s.AddConnection(t.Context(), DataCenterConnection("umbrella"), Basic("hunter2")),
			s.AddClient(t.Context(), tokenstore.Client{Name: "reports", TokenSHA256: Token("reports"), Connections: []string{"acme"}}),
			s.AddClient(t.Context(), tokenstore.Client{Name: "billing", TokenSHA256: Token("billing")}))
	}
	return map[string]func(*testing.T, tokenstore.Store){
		"an added client is found by name, token and certificate": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			mustDo(t, s.AddClient(t.Context(), tokenstore.Client{
				Name: "audit", TokenSHA256: Token("audit"), CertificateSANs: []string{"uri:spiffe://a/audit"},
				Connections: []string{"umbrella", "acme", "umbrella"},
			}))
			d := s.Directory()
			byName, _ := d.Client("audit")
			byToken, _ := d.ClientByTokenSHA256(Token("audit"))
			bySAN := d.ClientsByCertificateSAN("uri:spiffe://a/audit")
			if byName == nil || byName != byToken || len(bySAN) != 1 || bySAN[0] != byName {
				t.Fatalf("by name %v, by token %v, by certificate %v", byName, byToken, bySAN)
			}
			if byName.CreatedAt.IsZero() || !byName.TokenRotatedAt.Equal(byName.CreatedAt) {
				t.Errorf("created at %v, token from %v", byName.CreatedAt, byName.TokenRotatedAt)
			}
			wantGrants(t, s, "audit", "acme", "umbrella")
		},
		"a client without a token is found by no token": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddClient(t.Context(), tokenstore.Client{Name: "a"}),
				s.AddClient(t.Context(), tokenstore.Client{Name: "b"}))
			if c, ok := s.Directory().ClientByTokenSHA256([32]byte{}); ok {
				t.Errorf("it finds %s", c.Name)
			}
			if c, _ := s.Directory().Client("a"); !c.TokenRotatedAt.IsZero() {
				t.Errorf("it has a token from %v", c.TokenRotatedAt)
			}
		},
		"what a client may not be": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			for _, test := range []struct {
				name string
				c    tokenstore.Client
				kind error
			}{
				{"a name in use", tokenstore.Client{Name: "reports"}, tokenstore.ErrExists},
				{"a token in use", tokenstore.Client{Name: "new", TokenSHA256: Token("reports")}, tokenstore.ErrExists},
				{"an unknown connection", tokenstore.Client{Name: "new", Connections: []string{"acme", "nobody"}}, tokenstore.ErrNotFound},
				{"no name", tokenstore.Client{}, tokenstore.ErrInvalid},
				{"an empty token", tokenstore.Client{Name: "new", TokenSHA256: Token("")}, tokenstore.ErrInvalid},
			} {
				unchanged(t, s, test.kind, test.name, func() error { return s.AddClient(t.Context(), test.c) })
			}
		},
		"a removed client is gone": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			mustDo(t, s.RemoveClient(t.Context(), "reports"))
			if _, ok := s.Directory().Client("reports"); ok {
				t.Error("it is still found by name")
			}
			if _, ok := s.Directory().ClientByTokenSHA256(Token("reports")); ok {
				t.Error("it is still found by token")
			}
			wantErr(t, s.RemoveClient(t.Context(), "reports"), tokenstore.ErrNotFound, "removing it again")
			mustDo(t, s.AddClient(t.Context(), tokenstore.Client{Name: "new", TokenSHA256: Token("reports")}))
			wantGrants(t, s, "new")
		},
		"a new token ends the old one": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			before, _ := s.Directory().Client("reports")
			mustDo(t, s.SetClientToken(t.Context(), "reports", Token("rotated")))
			d := s.Directory()
			if _, ok := d.ClientByTokenSHA256(Token("reports")); ok {
				t.Error("the old token is still accepted")
			}
			after, ok := d.ClientByTokenSHA256(Token("rotated"))
			if !ok || after.Name != "reports" || !after.TokenRotatedAt.After(before.TokenRotatedAt) || !after.Granted("acme") {
				t.Errorf("by the new token: %+v, %v", after, ok)
			}
			unchanged(t, s, nil, "the same token again", func() error {
				return s.SetClientToken(t.Context(), "reports", Token("rotated"))
			})
			unchanged(t, s, tokenstore.ErrExists, "the token of another client", func() error {
				return s.SetClientToken(t.Context(), "reports", Token("billing"))
			})
			unchanged(t, s, tokenstore.ErrInvalid, "the empty token", func() error {
				return s.SetClientToken(t.Context(), "reports", Token(""))
			})
			wantErr(t, s.SetClientToken(t.Context(), "nobody", Token("x")), tokenstore.ErrNotFound, "an unknown client")
			mustDo(t, s.SetClientToken(t.Context(), "reports", [32]byte{}))
			if _, ok := s.Directory().ClientByTokenSHA256(Token("rotated")); ok {
				t.Error("a token that was taken away is still accepted")
			}
		},
		"grants": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			mustDo(t, s.Grant(t.Context(), "reports", "umbrella"))
			wantGrants(t, s, "reports", "acme", "umbrella")
			unchanged(t, s, nil, "granting it again", func() error { return s.Grant(t.Context(), "reports", "umbrella") })
			mustDo(t, s.Revoke(t.Context(), "reports", "acme"))
			wantGrants(t, s, "reports", "umbrella")
			wantGrants(t, s, "billing")

			for _, pair := range [][2]string{{"nobody", "acme"}, {"reports", "nobody"}, {"nobody", "nobody"}} {
				unchanged(t, s, tokenstore.ErrNotFound, "granting the unknown", func() error {
					return s.Grant(t.Context(), pair[0], pair[1])
				})
			}
			for _, pair := range [][2]string{{"nobody", "acme"}, {"reports", "acme"}, {"reports", "nobody"}} {
				unchanged(t, s, tokenstore.ErrNotFound, "revoking what is not granted", func() error {
					return s.Revoke(t.Context(), pair[0], pair[1])
				})
			}
		},
	}
}
