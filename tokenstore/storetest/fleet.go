package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"jiragate/tokenstore"
)

// RunFleet runs what a backend promises to processes that share a store, beside
// what it promises to each ([Run]). Each call of open returns the views that two
// processes have of one new, empty store, and lapse, which ends the lease that the
// claims of a stand on, for all to see, as if that process had been cut off for
// long; it may be called once, when there is a claim. a takes new claims afterwards.
func RunFleet(t *testing.T, open func(t *testing.T) (a, b tokenstore.Store, lapse func())) {
	for name, test := range fleetTests() {
		t.Run(name, func(t *testing.T) {
			a, b, lapse := open(t)
			defer func() {
				if err := errors.Join(a.Check(t.Context()), b.Close(), a.Close()); err != nil {
					t.Errorf("the test leaves a damaged store: %v", err)
				}
			}()
			mustDo(t, a.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			awaitConnection(t, b, "acme")
			test(t, &pair{a: a, b: b, lapse: lapse, generation: FirstGeneration(a, "acme")})
		})
	}
}

// pair is a store of two processes, with a connection "acme".
type pair struct {
	a, b       tokenstore.Store
	lapse      func()
	generation uint64
}

// awaitConnection waits until a view shows a connection that was added through another one.
func awaitConnection(t *testing.T, s tokenstore.Store, id string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); incarnation(s, id) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("connection %s isn't seen", id)
		}
	}
}

// begin is mustBegin. A view that is behind shows the present credential when it has said that
// the one before is not.
func (p *pair) begin(t *testing.T, s tokenstore.Store, connection string) tokenstore.Claim {
	t.Helper()
	c, err := s.Credential(t.Context(), connection)
	mustDo(t, err)
	claim, err := s.BeginRotation(t.Context(), connection, c.Generation)
	if errors.Is(err, tokenstore.ErrConflict) {
		return mustBegin(t, s, connection)
	}
	mustDo(t, err)
	return claim
}

// unchanged is that of one view, which has seen before what was done through the other one: a
// view shows what was changed before a change that is made through it.
func (p *pair) unchanged(t *testing.T, s tokenstore.Store, kind error, what string, do func() error) {
	t.Helper()
	mustDo(t, s.SetAnnounced(t.Context(), tokenstore.Announcement{Connection: "acme", Incarnation: 1, State: tokenstore.StateActive, Since: time.Now()}))
	unchanged(t, s, kind, what, do)
}

// claimed is the error of a claim that b tries to take.
func (p *pair) claimed(t *testing.T) error {
	_, err := p.b.BeginRotation(t.Context(), "acme", p.generation)
	return err
}

// awaits returns what AwaitRotation of b will.
func (p *pair) awaits(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- p.b.AwaitRotation(ctx, "acme", p.generation) }()
	return done
}

func fleetTests() map[string]func(*testing.T, *pair) {
	return map[string]func(*testing.T, *pair){
		"one process has the claim": func(t *testing.T, p *pair) {
			claim := p.begin(t, p.a, "acme")
			p.unchanged(t, p.a, tokenstore.ErrClaimed, "another one", func() error { return p.claimed(t) })
			again := p.begin(t, p.a, "acme")
			if again.Fence <= claim.Fence || claim.Fence == 0 || !again.Stood || again.Held() != nil {
				t.Errorf("the claims are %+v and %+v", claim, again)
			}
			p.unchanged(t, p.a, tokenstore.ErrLapsed, "storing by the one before", func() error {
				return p.a.FinishRotation(t.Context(), claim, OAuth2("2"))
			})
			p.unchanged(t, p.a, nil, "ending the one before", func() error { return p.a.EndRotation(t.Context(), claim) })
			p.unchanged(t, p.a, nil, "yielding the one before", func() error { return p.a.YieldRotation(t.Context(), claim) })
			p.unchanged(t, p.a, tokenstore.ErrClaimed, "another one, still", func() error { return p.claimed(t) })
			mustDo(t, p.a.FinishRotation(t.Context(), again, OAuth2("2")))
		},
		"a claim is for one connection": func(t *testing.T, p *pair) {
			p.begin(t, p.a, "acme")
			mustDo(t, p.b.AddConnection(t.Context(), CloudConnection("other"), OAuth2("1")))
			p.begin(t, p.b, "other")
		},
		"what ends a claim wakes who waits for it": func(t *testing.T, p *pair) {
			for _, test := range []struct {
				name  string
				end   func(tokenstore.Claim) error
				stood bool // the next claim
			}{
				{"finish", func(c tokenstore.Claim) error { return p.a.FinishRotation(t.Context(), c, OAuth2("2")) }, false},
				{"end", func(c tokenstore.Claim) error { return p.a.EndRotation(t.Context(), c) }, false},
				{"yield", func(c tokenstore.Claim) error { return p.a.YieldRotation(t.Context(), c) }, true},
				{"a consent in the other process", func(c tokenstore.Claim) error {
					return p.b.ReplaceCredential(t.Context(), "acme", c.Generation, OAuth2("3"))
				}, false},
				{"a definite refusal", func(c tokenstore.Claim) error {
					return p.a.RequireReauthorisation(t.Context(), "acme", c.Generation, "invalid_grant")
				}, false},
				{"lapse", func(tokenstore.Claim) error { p.lapse(); return nil }, true},
			} {
				claim := p.begin(t, p.a, "acme")
				p.generation = claim.Generation
				awaited := p.awaits(t.Context())
				wantErr(t, p.claimed(t), tokenstore.ErrClaimed, test.name)
				mustDo(t, test.end(claim), <-awaited)
				next := p.begin(t, p.b, "acme")
				if next.Fence <= claim.Fence || next.Stood != test.stood {
					t.Errorf("%s: the next claim is %+v, after %+v", test.name, next, claim)
				}
				mustDo(t, p.b.EndRotation(t.Context(), next))
			}
		},
		"whoever waits may give up": func(t *testing.T, p *pair) {
			p.begin(t, p.a, "acme")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			wantErr(t, <-p.awaits(ctx), context.DeadlineExceeded, "waiting")
		},
		"a removal wakes who waits": func(t *testing.T, p *pair) {
			p.begin(t, p.a, "acme")
			awaited := p.awaits(t.Context())
			mustDo(t, Remove(t.Context(), p.a, "acme"), <-awaited)
		},
		"a claim that has lapsed is known to be": func(t *testing.T, p *pair) {
			claim := p.begin(t, p.a, "acme")
			select {
			case <-claim.Lapsed():
				t.Error("it has lapsed already")
			default:
			}
			p.lapse()
			<-claim.Lapsed()
			wantErr(t, claim.Held(), tokenstore.ErrLapsed, "held")
		},
		"what a lapsed claim has got is stored if nobody followed": func(t *testing.T, p *pair) {
			claim := p.begin(t, p.a, "acme")
			p.lapse()
			mustDo(t, p.a.FinishRotation(t.Context(), claim, OAuth2("2")))
			wantRotations(t, p.a)
		},
		"a stale holder changes nothing": func(t *testing.T, p *pair) {
			stale := p.begin(t, p.a, "acme")
			p.lapse()
			claim := p.begin(t, p.b, "acme")
			if claim.Rotation != stale.Rotation || !claim.Stood {
				t.Errorf("the claim is %+v, after %+v", claim, stale)
			}
			for what, test := range map[string]struct {
				do  func() error
				err error
			}{
				"storing":    {func() error { return p.a.FinishRotation(t.Context(), stale, OAuth2("stale")) }, tokenstore.ErrLapsed},
				"ending":     {func() error { return p.a.EndRotation(t.Context(), stale) }, nil},
				"yielding":   {func() error { return p.a.YieldRotation(t.Context(), stale) }, nil},
				"condemning": {func() error { return p.a.RequireReauthorisation(t.Context(), "acme", p.generation, "gone") }, tokenstore.ErrClaimed},
				"claiming": {func() error {
					_, err := p.a.BeginRotation(t.Context(), "acme", p.generation)
					return err
				}, tokenstore.ErrClaimed},
			} {
				p.unchanged(t, p.b, test.err, what, test.do)
			}
			mustDo(t, p.b.FinishRotation(t.Context(), claim, OAuth2("2")))
			p.unchanged(t, p.b, tokenstore.ErrConflict, "storing afterwards", func() error {
				return p.a.FinishRotation(t.Context(), stale, OAuth2("stale"))
			})
		},
		"a stale holder does not store after one that has ended": func(t *testing.T, p *pair) {
			stale := p.begin(t, p.a, "acme")
			p.lapse()
			claim := p.begin(t, p.b, "acme")
			mustDo(t, p.b.YieldRotation(t.Context(), claim))
			p.unchanged(t, p.b, tokenstore.ErrLapsed, "storing", func() error {
				return p.a.FinishRotation(t.Context(), stale, OAuth2("stale"))
			})
		},
		"a claim stays with its holder when the connection moves": func(t *testing.T, p *pair) {
			for name, end := range map[string]func(tokenstore.Claim) error{
				"finish": func(c tokenstore.Claim) error {
					if err := p.a.FinishRotation(t.Context(), c, OAuth2("2")); !errors.Is(err, tokenstore.ErrConflict) {
						return errors.New("it is stored in the new incarnation")
					}
					return nil
				},
				"end":   func(c tokenstore.Claim) error { return p.a.EndRotation(t.Context(), c) },
				"yield": func(c tokenstore.Claim) error { return p.a.YieldRotation(t.Context(), c) },
			} {
				claim := p.begin(t, p.a, "acme")
				mustDo(t, p.a.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
					c.SiteURL = "https://" + name + ".atlassian.net"
					return nil
				}))
				p.generation = FirstGeneration(p.a, "acme")
				wantErr(t, p.claimed(t), tokenstore.ErrClaimed, name)
				awaited := p.awaits(t.Context())
				mustDo(t, end(claim), <-awaited)
				next := p.begin(t, p.b, "acme")
				if !next.Stood || next.Generation != p.generation || !next.Since.Equal(claim.Since) {
					t.Errorf("%s: the next claim is %+v, after %+v", name, next, claim)
				}
				mustDo(t, p.b.YieldRotation(t.Context(), next))
			}
		},
		"a claim ends with its connection": func(t *testing.T, p *pair) {
			stale := p.begin(t, p.a, "acme")
			mustDo(t,
				Remove(t.Context(), p.b, "acme"),
				p.b.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("new")))
			if claim := p.begin(t, p.b, "acme"); claim.Stood || claim.Fence <= stale.Fence {
				t.Errorf("the claim is %+v, after %+v", claim, stale)
			}
			p.unchanged(t, p.b, tokenstore.ErrConflict, "what the one before has got", func() error {
				return p.a.FinishRotation(t.Context(), stale, OAuth2("stale"))
			})
		},
	}
}
