package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
)

// invitation returns one that can be stored.
func invitation(connection, token string) tokenstore.Invitation {
	return tokenstore.Invitation{
		Connection: connection, TokenSHA256: Token(token),
		ExpiresAt: time.Date(2026, 3, 4, 5, 6, 7, 800, time.UTC),
	}
}

func invitationTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"an invitation comes back as it was": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.AddConnection(t.Context(), CloudConnection("acme-1"), OAuth2("1")))
			wantNotInvited(t, s, "acme")
			want := invitation("acme", "1")
			want.CreatedAt = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) // not looked at
			mustDo(t, s.Invite(t.Context(), want))
			got, err := s.Invitation(t.Context(), "acme")
			mustDo(t, err)
			c, _ := s.Directory().Connection("acme")
			if !got.CreatedAt.After(c.CreatedAt) || got.CreatedAt.Location() != time.UTC {
				t.Errorf("made at %v", got.CreatedAt)
			}
			want.CreatedAt = got.CreatedAt
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			wantNotInvited(t, s, "acme-1")
			wantNotInvited(t, s, "nobody")
		},
		"a connection has one invitation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.Invite(t.Context(), invitation("acme", "1")),
				s.Invite(t.Context(), invitation("acme", "2")))
			wantInvited(t, s, "acme", "2")
			unchanged(t, s, tokenstore.ErrNotFound, "withdrawing the earlier one", func() error {
				return s.WithdrawInvitation(t.Context(), "acme", Token("1"))
			})
		},
		"what is no invitation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for name, edit := range map[string]func(*tokenstore.Invitation){
				"without a connection":   func(i *tokenstore.Invitation) { i.Connection = "" },
				"without a token":        func(i *tokenstore.Invitation) { i.TokenSHA256 = [32]byte{} },
				"with an empty token":    func(i *tokenstore.Invitation) { i.TokenSHA256 = Token("") },
				"that lasts for ever":    func(i *tokenstore.Invitation) { i.ExpiresAt = time.Time{} },
				"to what is no id at it": func(i *tokenstore.Invitation) { i.Connection = "ACME" },
			} {
				i := invitation("acme", "1")
				edit(&i)
				unchanged(t, s, tokenstore.ErrInvalid, name, func() error { return s.Invite(t.Context(), i) })
			}
			unchanged(t, s, tokenstore.ErrNotFound, "to an unknown connection", func() error {
				return s.Invite(t.Context(), invitation("nobody", "1"))
			})
		},
		"an invitation is withdrawn by its token, once": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.AddConnection(t.Context(), CloudConnection("other"), OAuth2("1")),
				s.Invite(t.Context(), invitation("acme", "1")),
				s.Invite(t.Context(), invitation("other", "2")))
			for what, withdraw := range map[string]func() error{
				"by another token":            func() error { return s.WithdrawInvitation(t.Context(), "acme", Token("2")) },
				"by no token":                 func() error { return s.WithdrawInvitation(t.Context(), "acme", [32]byte{}) },
				"of an unknown connection":    func() error { return s.WithdrawInvitation(t.Context(), "nobody", Token("1")) },
				"by that of another":          func() error { return s.WithdrawInvitation(t.Context(), "other", Token("1")) },
				"by a token that is not hers": func() error { return s.WithdrawInvitation(t.Context(), "acme", Token("")) },
			} {
				unchanged(t, s, tokenstore.ErrNotFound, what, withdraw)
			}
			mustDo(t, s.WithdrawInvitation(t.Context(), "acme", Token("1")))
			wantNotInvited(t, s, "acme")
			wantInvited(t, s, "other", "2")
			wantErr(t, s.WithdrawInvitation(t.Context(), "acme", Token("1")), tokenstore.ErrNotFound, "again")
		},
		"of many who withdraw an invitation, one succeeds": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for round := range 3 {
				token := fmt.Sprint(round)
				mustDo(t, s.Invite(t.Context(), invitation("acme", token)))
				var (
					wg  sync.WaitGroup
					won atomic.Int64
				)
				for range 8 {
					wg.Go(func() {
						if err := s.WithdrawInvitation(t.Context(), "acme", Token(token)); err == nil {
							won.Add(1)
						} else {
							wantErr(t, err, tokenstore.ErrNotFound, "one who came too late")
						}
					})
				}
				wg.Wait()
				if n := won.Load(); n != 1 {
					t.Errorf("%d succeeded", n)
				}
			}
		},
		"an invitation stays with its connection": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.Invite(t.Context(), invitation("acme", "1")),
				s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
					c.SiteURL = "https://acme-2.atlassian.net"
					return nil
				}),
				s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("2")))
			wantInvited(t, s, "acme", "1")
			mustDo(t, Remove(t.Context(), s, "acme"))
			wantNotInvited(t, s, "acme")
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			wantNotInvited(t, s, "acme")
		},
	}
}

func wantInvited(t *testing.T, s tokenstore.Store, connection, token string) {
	t.Helper()
	if i, err := s.Invitation(t.Context(), connection); err != nil || i.TokenSHA256 != Token(token) {
		t.Errorf("the invitation to %s is not that of token %s, %v", connection, token, err)
	}
}

func wantNotInvited(t *testing.T, s tokenstore.Store, connection string) {
	t.Helper()
	_, err := s.Invitation(t.Context(), connection)
	wantErr(t, err, tokenstore.ErrNotFound, "the invitation to "+connection)
}
