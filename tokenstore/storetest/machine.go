package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jiragate/tokenstore"
)

// model is what a connection should be after some changes.
type model struct {
	state      tokenstore.State
	reason     string
	consented  bool
	generation uint64
	noted      uint64 // generation of the note of a rotation; 0: none
	moves      int

	claim *tokenstore.Claim // the last that was taken; nil if it was ended in vain
	fence uint64            // its fence
}

// step is a change: what it does to a store, what kind of error it gives, and what
// becomes of the model if it gives none.
type step struct {
	name string
	do   func(s tokenstore.Store, id string) error
	err  error
	then func(*model)
}

// steps are the changes that may come next. Which generation each is meant for is
// drawn too.
func (m *model) steps(t *testing.T, rt *rapid.T) []step {
	generation := m.generation + rapid.SampledFrom([]uint64{0, 0, 0, 1, ^uint64(0)}).Draw(rt, "for a generation that is off by")
	var meant error
	if generation != m.generation {
		meant = tokenstore.ErrConflict
	}
	reason := rapid.SampledFrom([]string{"", "one", "another"}).Draw(rt, "reason")
	steps := []step{
		{"announce the end", func(s tokenstore.Store, id string) error {
			return s.AnnounceEnd(t.Context(), id, generation, reason)
		}, meant, func(m *model) {
			if m.state.Callable() {
				m.state, m.reason = tokenstore.StateExpiring, reason
			}
		}},
		{"require reauthorisation", func(s tokenstore.Store, id string) error {
			return s.RequireReauthorisation(t.Context(), id, generation, reason)
		}, meant, func(m *model) {
			m.noted, m.claim = 0, nil
			if m.state.Callable() {
				m.state, m.reason = tokenstore.StateNeedsReauthorisation, reason
			}
		}},
		{"begin a rotation", func(s tokenstore.Store, id string) error {
			claim, err := s.BeginRotation(t.Context(), id, generation)
			if err != nil {
				return err
			}
			if claim.Stood != (m.noted == generation) || claim.Fence < m.fence {
				return fmt.Errorf("the claim is %+v, after the fence %d", claim, m.fence)
			}
			m.claim, m.fence = &claim, claim.Fence
			return nil
		}, meant, func(m *model) { m.noted = generation }},
		{"replace by nothing", func(s tokenstore.Store, id string) error {
			return s.ReplaceCredential(t.Context(), id, m.generation, tokenstore.Credential{Kind: tokenstore.KindOAuth2})
		}, tokenstore.ErrInvalid, nil},
		{"move", func(s tokenstore.Store, id string) error {
			return s.UpdateConnection(t.Context(), id, func(c *tokenstore.Connection) error {
				c.SiteURL = fmt.Sprintf("https://%s-%d.atlassian.net", id, m.moves)
				return nil
			})
		}, nil, func(m *model) {
			m.moves++
			m.generation = 0 // to be asked for
		}},
	}
	for _, ending := range []bool{false, true} {
		c := OAuth2("next")
		if ending {
			c.EndsAt = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		then := func(m *model) {
			m.generation++
			m.noted, m.consented = 0, true
			if m.state == tokenstore.StateNeedsReauthorisation || m.state == tokenstore.StateExpiring && !ending {
				m.state, m.reason = tokenstore.StateActive, ""
			}
		}
		steps = append(steps, step{fmt.Sprint("replace, ending soon: ", ending), func(s tokenstore.Store, id string) error {
			return s.ReplaceCredential(t.Context(), id, generation, c)
		}, meant, then})
		if m.claim == nil {
			continue
		}
		var stale error
		if m.claim.Generation != m.generation {
			stale = tokenstore.ErrConflict
		}
		steps = append(steps, step{fmt.Sprint("finish a rotation, ending soon: ", ending), func(s tokenstore.Store, _ string) error {
			return s.FinishRotation(t.Context(), *m.claim, c)
		}, stale, then})
	}
	if m.claim != nil {
		steps = append(steps, step{"end a rotation", func(s tokenstore.Store, _ string) error {
			return s.EndRotation(t.Context(), *m.claim)
		}, nil, func(m *model) {
			if m.noted == m.claim.Generation {
				m.noted = 0
			}
			m.claim = nil
		}}, step{"yield a rotation", func(s tokenstore.Store, _ string) error {
			return s.YieldRotation(t.Context(), *m.claim)
		}, nil, func(m *model) { m.claim = nil }})
	}
	for _, state := range []tokenstore.State{
		tokenstore.StateActive, tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled,
	} {
		var err error
		if state.Callable() && !m.consented {
			err = tokenstore.ErrInvalid
		}
		steps = append(steps, step{"make it " + string(state), func(s tokenstore.Store, id string) error {
			return s.SetState(t.Context(), id, state, reason)
		}, err, func(m *model) { m.state, m.reason = state, reason }})
	}
	return steps
}

func machineTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"any changes in any order": func(t *testing.T, s tokenstore.Store) {
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				id := fmt.Sprint("acme-", n)
				m := model{state: tokenstore.StateActive, consented: rapid.Bool().Draw(rt, "consented")}
				cred := OAuth2("first")
				if !m.consented {
					cred = tokenstore.Credential{Kind: tokenstore.KindOAuth2}
					m.state, m.reason = tokenstore.StateNeedsReauthorisation, tokenstore.ReasonAwaitsConsent
				}
				if err := s.AddConnection(t.Context(), CloudConnection(id), cred); err != nil {
					rt.Fatal(err)
				}
				m.generation = FirstGeneration(s, id)
				m.compare(t, rt, s, id)
				for range rapid.IntRange(1, 8).Draw(rt, "changes") {
					next := rapid.SampledFrom(m.steps(t, rt)).Draw(rt, "next")
					rt.Log(next.name)
					if err := next.do(s, id); !errors.Is(err, next.err) {
						rt.Fatalf("error %v, want %v", err, next.err)
					}
					if next.err == nil {
						next.then(&m)
					}
					if m.generation == 0 {
						first := FirstGeneration(s, id)
						if m.generation = first; m.noted != 0 {
							m.noted = first
						}
					}
					m.compare(t, rt, s, id)
				}
				if err := Remove(t.Context(), s, id); err != nil {
					rt.Fatal(err)
				}
			})
		},
	}
}

func (m *model) compare(t *testing.T, rt *rapid.T, s tokenstore.Store, id string) {
	c, ok := s.Directory().Connection(id)
	cred, err := s.Credential(t.Context(), id)
	rotations, err2 := s.Rotations(t.Context())
	if !ok || err != nil || err2 != nil {
		rt.Fatal(ok, err, err2)
	}
	got := *m
	got.state, got.reason, got.consented, got.generation, got.noted = c.State, c.StateReason, cred.Consented(), cred.Generation, 0
	if len(rotations) > 0 { // of the one connection that there is
		got.noted = rotations[0].Generation
	}
	if got != *m {
		rt.Fatalf("it is %+v, want %+v", got, *m)
	}
}
