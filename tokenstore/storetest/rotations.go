package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
)

func rotationTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"a rotation is noted once, with its first time": func(t *testing.T, s tokenstore.Store) {
			var want []tokenstore.Rotation
			for _, id := range []string{"acme", "acme-1", "zeta"} {
				mustDo(t, s.AddConnection(t.Context(), CloudConnection(id), OAuth2("1")))
			}
			wantRotations(t, s)
			for _, id := range []string{"zeta", "acme-1", "acme"} { // not in the order of their ids
				want = append([]tokenstore.Rotation{mustBegin(t, s, id).Rotation}, want...)
			}
			wantRotations(t, s, want...)
			for i, r := range want {
				c, _ := s.Directory().Connection(r.Connection)
				if r.Connection != c.ID || r.Generation != FirstGeneration(s, c.ID) || !r.Since.After(c.CreatedAt) || r.Since.Location() != time.UTC {
					t.Errorf("note %d is %+v", i, r)
				}
				unchanged(t, s, nil, "noting it again", func() error {
					if again := mustBegin(t, s, r.Connection); again.Rotation != r || !again.Stood {
						t.Errorf("again it is %+v, was %+v", again, r)
					}
					return nil
				})
			}
		},
		"only the rotation of the present generation is noted": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("2")))
			first := FirstGeneration(s, "acme")
			for _, g := range []uint64{0, 2, first - 1, first, first + 2, tokenstore.FirstGeneration(tokenstore.Incarnation(first)+1) + 1} {
				unchanged(t, s, tokenstore.ErrConflict, fmt.Sprint("noting generation ", g), func() error {
					_, err := s.BeginRotation(t.Context(), "acme", g)
					return err
				})
			}
			unchanged(t, s, tokenstore.ErrNotFound, "an unknown connection", func() error {
				_, err := s.BeginRotation(t.Context(), "nobody", first+1)
				return err
			})
		},
		"a replacement ends a rotation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.AddConnection(t.Context(), CloudConnection("other"), OAuth2("1")))
			first, other := mustBegin(t, s, "acme"), mustBegin(t, s, "other")
			unchanged(t, s, tokenstore.ErrConflict, "a replacement that fails", func() error {
				return s.ReplaceCredential(t.Context(), "acme", first.Generation+1, OAuth2("2"))
			})
			mustDo(t, s.ReplaceCredential(t.Context(), "acme", first.Generation, OAuth2("2")))
			wantRotations(t, s, other.Rotation)
			next := mustBegin(t, s, "acme")
			if next.Generation != first.Generation+1 || !next.Since.After(first.Since) {
				t.Errorf("the next one is %+v, after %+v", next, first)
			}
			wantRotations(t, s, next.Rotation, other.Rotation)
		},
		"a note is taken back by its generation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.AddConnection(t.Context(), CloudConnection("other"), OAuth2("1")))
			r, other := mustBegin(t, s, "acme"), mustBegin(t, s, "other")
			for what, change := range map[string]func(*tokenstore.Claim){
				"that of the generation before": func(c *tokenstore.Claim) { c.Generation-- },
				"that of the generation after":  func(c *tokenstore.Claim) { c.Generation++ },
				"that of another connection":    func(c *tokenstore.Claim) { c.Generation = other.Generation },
				"that of an unknown connection": func(c *tokenstore.Claim) { c.Connection = "nobody" },
			} {
				claim := mustBegin(t, s, "acme")
				change(&claim)
				unchanged(t, s, nil, what, func() error { return s.EndRotation(t.Context(), claim) })
			}
			again := mustBegin(t, s, "acme")
			if r.Fence != 0 {
				unchanged(t, s, nil, "by a claim that was taken again", func() error { return s.EndRotation(t.Context(), r) })
			}
			r = again
			mustDo(t, s.EndRotation(t.Context(), r))
			wantRotations(t, s, other.Rotation)
			unchanged(t, s, nil, "again", func() error { return s.EndRotation(t.Context(), r) })
			if again := mustBegin(t, s, "acme"); !again.Since.After(r.Since) || again.Stood {
				t.Errorf("it has the time of the one that was taken back: %+v", again)
			}
		},
		"a definite refusal ends a rotation, in every state": func(t *testing.T, s tokenstore.Store) {
			for i, state := range []tokenstore.State{
				tokenstore.StateActive, tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled,
			} {
				c := CloudConnection(fmt.Sprint("acme-", i))
				c.State = state
				mustDo(t, s.AddConnection(t.Context(), c, OAuth2("1")))
				r := mustBegin(t, s, c.ID)
				unchanged(t, s, tokenstore.ErrConflict, "that of another generation", func() error {
					return s.RequireReauthorisation(t.Context(), c.ID, r.Generation+1, "invalid_grant")
				})
				mustDo(t, s.RequireReauthorisation(t.Context(), c.ID, r.Generation, "invalid_grant"))
				wantRotations(t, s)
			}
		},
		"changes of the state leave the note": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			r := mustBegin(t, s, "acme")
			mustDo(t,
				s.AnnounceEnd(t.Context(), "acme", r.Generation, "soon"),
				s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "by hand"),
				s.SetState(t.Context(), "acme", tokenstore.StateNeedsReauthorisation, "by hand"),
				s.SetState(t.Context(), "acme", tokenstore.StateActive, ""))
			wantRotations(t, s, r.Rotation)
		},
		"a note goes along to a new incarnation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			r := mustBegin(t, s, "acme")
			mustDo(t, s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
				c.Region = tokenstore.RegionEU
				return nil
			}))
			wantRotations(t, s, r.Rotation)
			mustDo(t, s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
				c.SiteURL = "https://acme-2.atlassian.net"
				return nil
			}))
			carried := r.Rotation
			carried.Generation = FirstGeneration(s, "acme")
			if carried.Generation == r.Generation {
				t.Fatal("it is no new incarnation")
			}
			wantRotations(t, s, carried)
			unchanged(t, s, nil, "taking back that of the old one", func() error {
				return s.EndRotation(t.Context(), r)
			})
			if again := mustBegin(t, s, "acme"); again.Rotation != carried || !again.Stood {
				t.Errorf("noted again it is %+v, was %+v", again, carried)
			}
		},
		"a rotation is finished by what replaces its generation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			claim := mustBegin(t, s, "acme")
			if claim.Stood || claim.Held() != nil {
				t.Errorf("the first claim is %+v, held: %v", claim, claim.Held())
			}
			unchanged(t, s, tokenstore.ErrInvalid, "by nothing", func() error {
				return s.FinishRotation(t.Context(), claim, tokenstore.Credential{Kind: tokenstore.KindOAuth2})
			})
			mustDo(t, s.FinishRotation(t.Context(), claim, OAuth2("2")))
			wantRotations(t, s)
			c, err := s.Credential(t.Context(), "acme")
			if err != nil || c.Generation != claim.Generation+1 || !c.RefreshToken.Equal(OAuth2("2").RefreshToken) {
				t.Errorf("stored is generation %d: %s, %v", c.Generation, c.RefreshToken.Reveal(), err)
			}
			unchanged(t, s, tokenstore.ErrConflict, "again", func() error { return s.FinishRotation(t.Context(), claim, OAuth2("3")) })
			next := mustBegin(t, s, "acme")
			if next.Stood || next.Fence < claim.Fence || claim.Fence != 0 && next.Fence == claim.Fence {
				t.Errorf("the next claim is %+v, after %+v", next, claim)
			}
			unchanged(t, s, tokenstore.ErrConflict, "while the next one goes on", func() error {
				return s.FinishRotation(t.Context(), claim, OAuth2("3"))
			})
			claim.Connection = "nobody"
			unchanged(t, s, tokenstore.ErrNotFound, "an unknown connection", func() error {
				return s.FinishRotation(t.Context(), claim, OAuth2("3"))
			})
		},
		"a replacement ends a claim": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			claim := mustBegin(t, s, "acme")
			mustDo(t, s.ReplaceCredential(t.Context(), "acme", claim.Generation, OAuth2("consent")))
			unchanged(t, s, tokenstore.ErrConflict, "what was exchanged", func() error {
				return s.FinishRotation(t.Context(), claim, OAuth2("2"))
			})
			unchanged(t, s, nil, "taking it back", func() error { return s.EndRotation(t.Context(), claim) })
		},
		"a claim that is yielded leaves its note": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			claim := mustBegin(t, s, "acme")
			unchanged(t, s, nil, "yielding", func() error { return s.YieldRotation(t.Context(), claim) })
			wantRotations(t, s, claim.Rotation)
			if again := mustBegin(t, s, "acme"); again.Rotation != claim.Rotation || !again.Stood {
				t.Errorf("the next claim is %+v, after %+v", again, claim)
			}
		},
		"nobody waits for a claim of their own": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			claim := mustBegin(t, s, "acme")
			mustDo(t,
				s.AwaitRotation(t.Context(), "acme", claim.Generation),
				s.AwaitRotation(t.Context(), "acme", claim.Generation+1),
				s.AwaitRotation(t.Context(), "nobody", claim.Generation),
				s.EndRotation(t.Context(), claim),
				s.AwaitRotation(t.Context(), "acme", claim.Generation))
		},
		"a note goes with its connection": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			old := mustBegin(t, s, "acme")
			mustDo(t, Remove(t.Context(), s, "acme"))
			wantRotations(t, s)
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			wantRotations(t, s)
			if r := mustBegin(t, s, "acme"); !r.Since.After(old.Since) || r.Stood {
				t.Errorf("it has the time of the connection before: %+v", r)
			}
		},
	}
}

// mustBegin takes the claim of a rotation of the present credential.
func mustBegin(t *testing.T, s tokenstore.Store, connection string) tokenstore.Claim {
	t.Helper()
	c, err := s.Credential(t.Context(), connection)
	mustDo(t, err)
	r, err := s.BeginRotation(t.Context(), connection, c.Generation)
	mustDo(t, err)
	return r
}

func wantRotations(t *testing.T, s tokenstore.Store, want ...tokenstore.Rotation) {
	t.Helper()
	got, err := s.Rotations(t.Context())
	mustDo(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the rotations: %s", d)
	}
}
