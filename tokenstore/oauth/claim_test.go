package oauth

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gateway is one of several that share a store and an authorization server.
type gateway struct {
	*member
	*Manager
	log syncBuffer

	mu sync.Mutex
	// beforeSend is between the claim and the moment at which the transport reads the
	// token; afterAnswer while the answer is on its way.
	beforeSend, afterAnswer func()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// RoundTrip is the way to the authorization server.
func (g *gateway) roundTrip(to http.RoundTripper) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		g.mu.Lock()
		before, after := g.beforeSend, g.afterAnswer
		g.mu.Unlock()
		if before != nil {
			before()
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		sent := r.Clone(r.Context())
		sent.Body = io.NopCloser(bytes.NewReader(body))
		res, err := to.RoundTrip(sent)
		if after != nil {
			after()
		}
		return res, err
	}
}

// gateways returns n of them, which share "acme", whose token ends after left.
func gateways(t *testing.T, n int, left time.Duration, to http.RoundTripper, change ...func(*Options)) (*watchedStore, []*gateway) {
	t.Helper()
	s := newStore(t, left)
	c := newCluster(s.Store)
	all := make([]*gateway, n)
	for i := range all {
		g := &gateway{member: c.join()}
		all[i] = g
		g.Manager = managerOn(t, g.member, "https://auth.example", g.roundTrip(to), append(change, func(o *Options) {
			o.Logger = slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})...)
	}
	return s, all
}

// call asks for the token of "acme"; the answer comes later.
func (g *gateway) call(t *testing.T) <-chan string {
	got := make(chan string, 1)
	go func() {
		token, err := present(t.Context(), g.Manager, "acme")
		if err != nil {
			got <- err.Error()
			return
		}
		got <- token.Reveal()
	}()
	return got
}

// once is a hook that does something the first time.
func once(do func()) func() {
	var o sync.Once
	return func() { o.Do(do) }
}

// killed: the process does nothing any more; what it was about to do fails.
func (g *gateway) killed() {
	g.part(errDied)
	time.Sleep(10 * time.Minute) // longer than any test looks on
}

// paused: nobody hears of the process for so long, and it of nobody.
func (g *gateway) paused(d time.Duration) {
	g.stop()
	time.Sleep(d)
}

func (s *watchedStore) wantStored(t *testing.T, n int, a *atlassian) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(n) || a.dead || c.RefreshToken.Reveal() != a.current {
		t.Errorf("stored: %s, current: %s; the grant has ended: %v", c.RefreshToken.Reveal(), a.current, a.dead)
	}
	if notes := s.standing(t); len(notes) != 0 {
		t.Errorf("notes: %v", notes)
	}
}

// TestOneRefreshInTheFleet: gateways that ask at once make one exchange, and all
// have its token.
func TestOneRefreshInTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 5, -time.Second, inMemory{a})
		var got []<-chan string
		for _, g := range all {
			g.beforeSend = func() { time.Sleep(time.Second) }
			got = append(got, g.call(t), g.call(t))
		}
		for _, token := range got {
			if token := <-token; token != accessToken(1) {
				t.Errorf("a caller got %s", token)
			}
		}
		if a.times() != 1 {
			t.Errorf("%d exchanges", a.times())
		}
		s.wantStored(t, 1, a)
		for _, g := range all {
			if log := g.log.String(); strings.Contains(log, "level=WARN") {
				t.Error(log)
			}
		}
	})
}

// TestHolderKilled: another gateway goes on as soon as the claim has lapsed, with the
// same refresh token, which is accepted again within the leeway.
func TestHolderKilled(t *testing.T) {
	for name, test := range map[string]struct {
		at             func(g *gateway)
		requests, pair int
	}{
		"before sending": {func(g *gateway) { g.beforeSend = once(g.killed) }, 1, 1},
		"after sending":  {func(g *gateway) { g.afterAnswer = once(g.killed) }, 2, 2},
		"before storing": {func(g *gateway) { g.beforeFinish = once(g.killed) }, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAtlassian()
				s, all := gateways(t, 2, -time.Second, inMemory{a})
				test.at(all[0])
				all[0].call(t)
				synctest.Wait()
				began := time.Now()
				if got := <-all[1].call(t); got != accessToken(test.pair) || time.Since(began) != otherTTL {
					t.Errorf("after %v the caller got %s", time.Since(began), got)
				}
				if claim := all[1].last(); !claim.Stood {
					t.Errorf("the claim that was taken over is %+v", claim)
				}
				for n := range a.times() {
					if a.sent(n) != refreshToken(0) {
						t.Errorf("request %d sent %s", n, a.sent(n))
					}
				}
				if a.times() != test.requests {
					t.Errorf("%d requests", a.times())
				}
				s.wantStored(t, test.pair, a)
			})
		})
	}
}

// TestPausedBeforeSending: whoever has slept through the end of its claim sends
// nothing when it wakes, whether anybody has followed or not.
func TestPausedBeforeSending(t *testing.T) {
	for name, followed := range map[string]bool{"followed": true, "alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAtlassian()
				s, all := gateways(t, 2, -time.Second, inMemory{a})
				woken := false
				all[0].beforeSend = once(func() {
					all[0].paused(25 * time.Second)
					woken = true
				})
				sleeper := all[0].call(t)
				synctest.Wait()
				if followed {
					if got := <-all[1].call(t); got != accessToken(1) {
						t.Errorf("the one that took over got %s", got)
					}
				}
				got := <-sleeper
				synctest.Wait()
				switch {
				case !woken:
					t.Error("it still sleeps")
				case followed && (got != accessToken(1) || a.times() != 1):
					t.Errorf("the one that slept got %s, after %d requests", got, a.times())
				case !followed && (!strings.Contains(got, "nothing was sent") || a.times() != 0 || len(s.standing(t)) != 0):
					t.Errorf("the one that slept got %s, after %d requests; notes: %v", got, a.times(), s.standing(t))
				}
				time.Sleep(2 * time.Second) // until it asks again, unasked
				s.wantStored(t, 1, a)
			})
		})
	}
}

// TestPausedBeforeStoring: a pair that comes late is stored if nobody has taken the
// claim, and dropped otherwise, be it that the other is at work still or done.
func TestPausedBeforeStoring(t *testing.T) {
	for _, test := range []struct {
		name         string
		follows      bool
		otherAnswers time.Duration
		pair         int
		warns        bool
	}{
		{"nobody has followed", false, 0, 1, false},
		{"the other is at work", true, 20 * time.Second, 2, true},
		{"the other is done", true, 0, 2, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAtlassian()
				s, all := gateways(t, 2, -time.Second, inMemory{a})
				all[0].beforeFinish = once(func() { all[0].paused(25 * time.Second) })
				all[1].afterAnswer = func() { time.Sleep(test.otherAnswers) }
				sleeper := all[0].call(t)
				synctest.Wait()
				if test.follows {
					other := all[1].call(t)
					defer func() {
						if got := <-other; got != accessToken(test.pair) {
							t.Errorf("the other got %s", got)
						}
					}()
				}
				if got := <-sleeper; test.otherAnswers == 0 && got != accessToken(test.pair) {
					t.Errorf("the one that slept got %s", got)
				}
				time.Sleep(time.Minute)
				s.wantStored(t, test.pair, a)
				if got := <-all[0].call(t); got != accessToken(test.pair) {
					t.Errorf("a caller got %s", got)
				}
				if log := all[0].log.String(); strings.Contains(log, "a renewed token was dropped") != test.warns || strings.Contains(log, mark) {
					t.Error(log)
				}
				if stored := all[0].stored; test.follows && len(stored) != 0 {
					t.Errorf("the one that slept has stored %v", stored)
				}
			})
		})
	}
}

// TestCutOffWhileSending: the request is given up when the claim lapses, so that the
// next holder's is the only one on its way.
func TestCutOffWhileSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		s, all := gateways(t, 2, -time.Second, inMemory{a})
		a.fail(hang)
		began := time.Now()
		cut := all[0].call(t)
		synctest.Wait()
		all[0].part(errCut)
		other := all[1].call(t)
		if got := <-cut; time.Since(began) != ownTTL || !strings.Contains(got, "has lapsed") {
			t.Errorf("after %v the one that was cut off got %s", time.Since(began), got)
		}
		if got := <-other; time.Since(began) != otherTTL || got != accessToken(1) {
			t.Errorf("after %v the other got %s", time.Since(began), got)
		}
		s.wantStored(t, 1, a)
		// What is stored can be read where nothing can be written.
		if got := <-all[0].call(t); got != accessToken(1) {
			t.Errorf("the one that is cut off got %s", got)
		}
		if n := a.times(); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestCutOffHolderDoesNothing without the store: no claim, no refresh.
func TestCutOffHolderDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtlassian()
		_, all := gateways(t, 1, -time.Second, inMemory{a})
		all[0].part(errCut)
		wantError(t, all[0].Manager, ErrUnavailable)
		time.Sleep(time.Hour)
		if a.times() != 0 {
			t.Errorf("%d requests", a.times())
		}
		all[0].part(nil)
		wantToken(t, all[0].Manager, accessToken(1))
	})
}
