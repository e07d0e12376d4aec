package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jiragate/policy"
	"jiragate/tokenstore"
)

func connectionTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"an added connection comes back as it was": func(t *testing.T, s tokenstore.Store) {
			for i, c := range []tokenstore.Connection{CloudConnection("acme"), DataCenterConnection("umbrella")} {
				cred := OAuth2("1")
				if c.CredentialKind == tokenstore.KindBasic {
					cred = Basic("hunter2")
				}
				mustDo(t, s.AddConnection(t.Context(), c, cred))
				got, ok := s.Directory().Connection(c.ID)
				if !ok {
					t.Fatalf("connection %s is not in the directory", c.ID)
				}
				c.State, c.Incarnation = tokenstore.StateActive, uint64(i+1)
				if d := cmp.Diff(c, *got, cmpopts.IgnoreTypes(time.Time{}), cmpopts.EquateEmpty()); d != "" {
					t.Error(d)
				}
				if got.CreatedAt.IsZero() || !got.CreatedAt.Equal(got.UpdatedAt) || !got.CreatedAt.Equal(got.StateSince) {
					t.Errorf("created %v, updated %v, state since %v", got.CreatedAt, got.UpdatedAt, got.StateSince)
				}
				if got.CreatedAt.Location() != time.UTC {
					t.Errorf("created at %v, which is not UTC", got.CreatedAt)
				}
			}
		},
		"a connection can be added in another state": func(t *testing.T, s tokenstore.Store) {
			c := CloudConnection("acme")
			c.State, c.StateReason = tokenstore.StateDisabled, "not yet"
			mustDo(t, s.AddConnection(t.Context(), c, OAuth2("1")))
			if got, _ := s.Directory().Connection("acme"); got.State != tokenstore.StateDisabled || got.StateReason != "not yet" {
				t.Errorf("its state is %s, %q", got.State, got.StateReason)
			}
		},
		"an id is used once": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			unchanged(t, s, tokenstore.ErrExists, "adding it again", func() error {
				return s.AddConnection(t.Context(), DataCenterConnection("acme"), Basic("hunter2"))
			})
		},
		"what is not valid is not added": func(t *testing.T, s tokenstore.Store) {
			add := func(c tokenstore.Connection, cred tokenstore.Credential) func() error {
				return func() error { return s.AddConnection(t.Context(), c, cred) }
			}
			bad := DataCenterConnection("umbrella")
			bad.BaseURL = "http://jira.umbrella.example"
			unchanged(t, s, tokenstore.ErrInvalid, "a plaintext URL", add(bad, Basic("hunter2")))
			unchanged(t, s, tokenstore.ErrInvalid, "an empty connection", add(tokenstore.Connection{}, OAuth2("1")))
			unchanged(t, s, tokenstore.ErrInvalid, "a credential of another kind", add(CloudConnection("acme"), Basic("hunter2")))
			unchanged(t, s, tokenstore.ErrInvalid, "an empty credential", add(CloudConnection("acme"), tokenstore.Credential{}))
			unchanged(t, s, tokenstore.ErrInvalid, "a password of two lines", add(DataCenterConnection("umbrella"), Basic("hunter2\n")))
			if n := len(s.Directory().Connections()); n != 0 {
				t.Errorf("there are %d connections", n)
			}
		},
		"update changes what it may": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), DataCenterConnection("umbrella"), Basic("hunter2")),
				s.UpdateConnection(t.Context(), "umbrella", func(c *tokenstore.Connection) error {
					c.BaseURL = "https://jira2.umbrella.example"
					c.Region = tokenstore.RegionUS
					return nil
				}))
			c, _ := s.Directory().Connection("umbrella")
			if c.BaseURL != "https://jira2.umbrella.example" || c.Region != tokenstore.RegionUS || !c.UpdatedAt.After(c.CreatedAt) {
				t.Errorf("it is %+v", c)
			}
			cred, err := s.Credential(t.Context(), "umbrella")
			if err != nil || cred.Password.Reveal() != "hunter2" || cred.Generation != FirstGeneration(s, "umbrella") {
				t.Errorf("its credential is %+v, %v", cred, err)
			}
		},
		"update changes nothing else": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for name, edit := range map[string]func(*tokenstore.Connection){
				"id":      func(c *tokenstore.Connection) { c.ID = "other" },
				"edition": func(c *tokenstore.Connection) { c.Edition = policy.DataCenter },
				"kind":    func(c *tokenstore.Connection) { c.CredentialKind = tokenstore.KindPAT },
				"state":   func(c *tokenstore.Connection) { c.State = tokenstore.StateDisabled },
				"reason":  func(c *tokenstore.Connection) { c.StateReason = "because" },
				"making":  func(c *tokenstore.Connection) { c.Incarnation++ },
				"age":     func(c *tokenstore.Connection) { c.CreatedAt = c.CreatedAt.Add(-time.Hour) },
				"URL":     func(c *tokenstore.Connection) { c.SiteURL = "https://acme.atlassian.net/" },
			} {
				unchanged(t, s, tokenstore.ErrInvalid, "changing the "+name, func() error {
					return s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error { edit(c); return nil })
				})
			}
			refused := errors.New("refused")
			unchanged(t, s, refused, "an update that changes its mind", func() error {
				return s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
					c.Region = tokenstore.RegionEU
					c.Scopes[0] = "changed in place"
					return refused
				})
			})
			wantErr(t, s.UpdateConnection(t.Context(), "nobody", func(*tokenstore.Connection) error { return nil }),
				tokenstore.ErrNotFound, "updating an unknown connection")
		},
		"removing a connection takes along what hangs on it": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.AddConnection(t.Context(), CloudConnection("acme-2"), OAuth2("2")),
				s.AddClient(t.Context(), tokenstore.Client{Name: "reports", Connections: []string{"acme", "acme-2"}}),
				s.AddClient(t.Context(), tokenstore.Client{Name: "billing", Connections: []string{"acme-2"}}),
				s.RecordIssue(t.Context(), Issue(s, "acme", "1", "A-1")),
				s.RecordIssue(t.Context(), Issue(s, "acme-2", "1", "A-1")),
				Remove(t.Context(), s, "acme"),
			)
			if ids := connectionIDs(s); !slices.Equal(ids, []string{"acme-2"}) {
				t.Errorf("connections %q remain", ids)
			}
			_, err := s.Credential(t.Context(), "acme")
			wantErr(t, err, tokenstore.ErrNotFound, "its credential")
			wantGrants(t, s, "reports", "acme-2")
			wantGrants(t, s, "billing", "acme-2")
			wantPublished(t, s, "acme-2", "A-1", true)

			// A connection of the same name is another one.
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("3")))
			wantPublished(t, s, "acme", "1", false)
			wantPublished(t, s, "acme", "A-1", false)
			wantGrants(t, s, "reports", "acme-2")
			cred, err := s.Credential(t.Context(), "acme")
			if err != nil || cred.RefreshToken.Reveal() != "refresh-3" || cred.Generation != FirstGeneration(s, "acme") {
				t.Errorf("its credential is %+v, %v", cred, err)
			}
			wantErr(t, Remove(t.Context(), s, "nobody"), tokenstore.ErrNotFound, "removing an unknown connection")
		},
		"states": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			first, _ := s.Directory().Connection("acme")
			mustDo(t, s.SetState(t.Context(), "acme", tokenstore.StateNeedsReauthorisation, "invalid_grant"))
			second, _ := s.Directory().Connection("acme")
			if second.State != tokenstore.StateNeedsReauthorisation || second.StateReason != "invalid_grant" || !second.StateSince.After(first.StateSince) {
				t.Errorf("it is %+v", second)
			}
			if first.State != tokenstore.StateActive {
				t.Error("a directory handed out before has changed")
			}
			mustDo(t, s.SetState(t.Context(), "acme", tokenstore.StateNeedsReauthorisation, "said otherwise"))
			third, _ := s.Directory().Connection("acme")
			if third.StateReason != "said otherwise" || !third.StateSince.Equal(second.StateSince) {
				t.Errorf("the state did not change, but is %+v", third)
			}
			unchanged(t, s, tokenstore.ErrInvalid, "an unknown state", func() error {
				return s.SetState(t.Context(), "acme", "asleep", "")
			})
			unchanged(t, s, tokenstore.ErrInvalid, "a reason of two lines", func() error {
				return s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "a\nb")
			})
			wantErr(t, s.SetState(t.Context(), "nobody", tokenstore.StateActive, ""), tokenstore.ErrNotFound, "an unknown connection")
		},
		"a context that has ended": func(t *testing.T, s tokenstore.Store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			unchanged(t, s, context.Canceled, "adding", func() error {
				return s.AddConnection(ctx, CloudConnection("acme"), OAuth2("1"))
			})
			_, err := s.Credential(ctx, "acme")
			wantErr(t, err, context.Canceled, "reading")
			wantErr(t, s.Check(ctx), context.Canceled, "checking")
		},
	}
}
