package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// fleetStep is something that happens to a fleet, or to one gateway of it.
type fleetStep struct {
	What    string
	Gateway int
	Point   string // at which a gateway is paused, killed or cut off next
	For     time.Duration
}

// The points at which a gateway may be stopped.
var points = []string{"before sending", "after sending", "before storing"}

func drawFleetStep(t *rapid.T) fleetStep {
	s := fleetStep{
		What:    rapid.SampledFrom([]string{"call", "call", "all call", "wait", "pause", "pause", "kill", "cut off", "slow", "lost", "down", "disk full", "consent", "move", "refused"}).Draw(t, "what"),
		Gateway: rapid.IntRange(0, 2).Draw(t, "gateway"),
		Point:   rapid.SampledFrom(points).Draw(t, "point"),
	}
	s.For = time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second
	if s.What == "wait" && rapid.Bool().Draw(t, "long") {
		s.For *= 100
	}
	return s
}

// TestFleetProperty: whatever happens to several gateways, in any order, no refresh
// token is on its way by two that hold its claim, and none leaves a gateway that
// doesn't; what is stored never gives way to something older; and as long as lost
// answers are made good within the leeway, the grant lives.
func TestFleetProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 3).Draw(rt, "gateways")
		steps := rapid.SliceOfN(rapid.Custom(drawFleetStep), 1, 20).Draw(rt, "steps")
		var wrong error
		synctest.Test(t, func(t *testing.T) { wrong = newObserved(t, n).live(steps) })
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

// observed is a fleet, and who sees to it that nothing happens which must not.
type observed struct {
	t *testing.T
	a *atlassian
	s *watchedStore
	c *cluster

	places []*place
	ending sync.WaitGroup // processes that were killed

	mu     sync.Mutex
	wrong  []error
	flying map[string]map[*process]tokenstore.Claim // exchanges that are under way, by refresh token
	newest int                                      // the number of the newest pair that was stored
	slow   time.Duration                            // how long the next answer takes
}

// place is where a gateway runs, one process after another.
type place struct {
	o *observed

	mu  sync.Mutex
	now *process
	// next is what happens when a process gets to a point.
	next map[string]func(*process)
}

// process is a gateway until it is killed.
type process struct {
	*member
	m    *Manager
	at   *place
	stop func()
}

func newObserved(t *testing.T, n int) *observed {
	o := &observed{t: t, a: newAtlassian(), s: newStore(t, -time.Second), flying: make(map[string]map[*process]tokenstore.Claim)}
	o.a.lifetime = 60 // so that most calls need a refresh
	o.c = newCluster(o.s.Store)
	for range n {
		p := &place{o: o, next: make(map[string]func(*process))}
		o.places = append(o.places, p)
		p.start()
	}
	return o
}

func (o *observed) fault(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrong = append(o.wrong, fmt.Errorf(format, args...))
}

func (p *place) start() {
	g := &process{member: p.o.c.join(), at: p}
	g.beforeFinish, g.onStored = func() { g.passes("before storing") }, p.o.stored
	g.m = managerOn(p.o.t, g, "https://auth.example", roundTrip(g.exchange))
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = g.m.Run(ctx) // returns nil
	}()
	g.stop = func() { cancel(); <-ran }
	p.mu.Lock()
	p.now = g
	p.mu.Unlock()
}

func (p *place) process() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// passes is called by a process that gets to a point.
func (g *process) passes(point string) {
	g.at.mu.Lock()
	var do func(*process)
	if g.at.now == g && !errors.Is(g.reach(), errDied) { // a dead one is followed by one, and not by two
		do = g.at.next[point]
		delete(g.at.next, point)
	}
	g.at.mu.Unlock()
	if do != nil {
		do(g)
	}
}

// exchange is the way to the authorization server, which looks at who comes.
func (g *process) exchange(r *http.Request) (*http.Response, error) {
	o := g.at.o
	g.passes("before sending")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if errors.Is(g.reach(), errDied) {
		return nil, errDied // a dead process sends nothing
	}
	claim := g.last()
	var request struct {
		Token string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		o.fault("a request that can't be read: %w", err)
	}
	o.mu.Lock()
	others := o.flying[request.Token]
	for other, its := range others {
		if other != g && its.Held() == nil {
			o.wrong = append(o.wrong, fmt.Errorf("%s is on its way twice, by claims %d and %d", request.Token, its.Fence, claim.Fence))
		}
	}
	if claim.Held() != nil {
		o.wrong = append(o.wrong, fmt.Errorf("%s leaves by claim %d, which has lapsed", request.Token, claim.Fence))
	}
	if others == nil {
		o.flying[request.Token] = make(map[*process]tokenstore.Claim)
	}
	o.flying[request.Token][g] = claim
	slow := o.slow
	o.slow = 0
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		delete(o.flying[request.Token], g)
		o.mu.Unlock()
	}()
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	res, err := inMemory{o.a}.RoundTrip(r)
	g.passes("after sending")
	select {
	case <-time.After(slow + 100*time.Millisecond):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return res, err
}

// stored looks at a pair that has become the connection's.
func (o *observed) stored(c tokenstore.Credential) {
	var n int
	if _, err := fmt.Sscanf(c.RefreshToken.Reveal(), "refresh-"+mark+"-%d", &n); err != nil {
		o.fault("stored: %s", c.RefreshToken.Reveal())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n < o.newest {
		o.wrong = append(o.wrong, fmt.Errorf("pair %d is stored in place of %d", n, o.newest))
	}
	o.newest = n
}

// consent is given at one of the gateways. That the authorization server gives the
// pair and that it is stored is one, so that no call comes between them.
func (o *observed) consent(g *process) error {
	return g.change("acme", func() error {
		pair := o.a.consent()
		c := o.s.credential(o.t)
		c.AccessToken, c.RefreshToken, c.Expiry = secret.New(accessToken(pair)), secret.New(refreshToken(pair)), time.Now().Add(time.Minute).UTC()
		err := o.s.Store.ReplaceCredential(context.Background(), "acme", c.Generation, c)
		if err == nil {
			o.stored(c)
		}
		return err
	})
}

// calm ends all trouble but that of processes that sleep, or are dead.
func (o *observed) calm() {
	o.mu.Lock()
	o.slow = 0
	o.mu.Unlock()
	o.a.mu.Lock()
	o.a.faults = nil
	o.a.mu.Unlock()
	for _, p := range o.places {
		p.mu.Lock()
		clear(p.next)
		p.mu.Unlock()
		g := p.process()
		g.member.mu.Lock()
		g.failed = nil
		g.member.mu.Unlock()
		if errors.Is(g.reach(), errCut) {
			g.part(nil)
		}
	}
}

// live takes the fleet through the steps.
func (o *observed) live(steps []fleetStep) error {
	var calls sync.WaitGroup
	defer func() {
		for _, p := range o.places {
			p.process().stop()
		}
		o.ending.Wait()
		calls.Wait()
	}()
	call := func(g *process) {
		calls.Go(func() {
			_, err := present(context.Background(), g.m, "acme")
			if err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrReplaced) && !errors.Is(err, errDied) && !errors.Is(err, errCut) {
				o.fault("a call: %w", err)
			}
		})
	}
	for _, step := range steps {
		p := o.places[step.Gateway%len(o.places)]
		g := p.process()
		switch step.What {
		case "call":
			call(g)
		case "all call":
			for _, p := range o.places {
				call(p.process())
			}
		case "wait":
			time.Sleep(step.For)
		case "pause", "kill", "cut off":
			p.mu.Lock()
			p.next[step.Point] = stopping(step)
			p.mu.Unlock()
			call(g)
		case "slow":
			o.mu.Lock()
			o.slow = step.For / 2
			o.mu.Unlock()
		case "lost":
			o.a.fail(o.a.lost)
		case "down":
			o.a.fail(answer(503, "text/html", ""))
		case "disk full":
			g.member.mu.Lock()
			g.failed = append(g.failed, syscall.ENOSPC, syscall.ENOSPC)
			g.member.mu.Unlock()
		case "consent":
			if err := o.consent(g); err != nil && !errors.Is(err, errCut) && !errors.Is(err, errDied) {
				return err
			}
		case "move":
			// Nobody is at work, since what a move has to do with a refresh is a caveat of
			// the package.
			time.Sleep(2 * time.Minute)
			if err := g.UpdateConnection(context.Background(), "acme", func(c *tokenstore.Connection) error {
				c.SiteURL = fmt.Sprintf("https://acme-%d.atlassian.net", time.Now().Unix())
				return nil
			}); err != nil {
				return err
			}
		case "refused":
			calls.Go(func() {
				c := o.s.connection(o.t)
				cred, err := o.s.Store.Credential(context.Background(), "acme")
				if err == nil {
					_, err = g.m.Renew(context.Background(), "acme", c.Incarnation, cred.AccessToken)
				}
				if errors.Is(err, ErrNeedsReauthorisation) {
					o.fault("a call that Jira refused: %w", err)
				}
			})
		}
		time.Sleep(time.Second)
	}
	o.calm()
	time.Sleep(2 * time.Hour)
	o.calm()
	for i, p := range o.places {
		if _, err := present(o.t.Context(), p.process().m, "acme"); err != nil {
			o.fault("in the end, gateway %d: %w", i, err)
		}
	}
	end := o.end()
	for n := 0; end != nil && n < 100; n++ {
		time.Sleep(100 * time.Millisecond) // somebody renews what was used
		end = o.end()
	}
	if end != nil {
		o.fault("in the end: %w", end)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.wrong...)
}

// end tells what is not as it should be when all is quiet.
func (o *observed) end() error {
	c, notes, stored := o.s.connection(o.t), o.s.standing(o.t), o.s.credential(o.t).RefreshToken.Reveal()
	o.a.mu.Lock()
	defer o.a.mu.Unlock()
	if c.State != tokenstore.StateActive || o.a.dead || len(notes) != 0 || stored != o.a.current {
		return fmt.Errorf("state %s (%s), notes %v, stored %s, current %s", c.State, c.StateReason, notes, stored, o.a.current)
	}
	return nil
}

// stopping is what happens to a process at the point of a step.
func stopping(step fleetStep) func(*process) {
	return func(g *process) {
		switch step.What {
		case "pause":
			g.member.stop()
			time.Sleep(step.For)
		case "cut off":
			g.part(errCut)
			time.AfterFunc(step.For, func() {
				if errors.Is(g.reach(), errCut) {
					g.part(nil)
				}
			})
		case "kill":
			g.part(errDied)
			g.at.o.ending.Go(g.stop)
			time.AfterFunc(step.For, g.at.start)
			time.Sleep(10 * time.Second)
		}
	}
}
