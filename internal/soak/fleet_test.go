package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jiragate/tokenstore"
)

const (
	// fleetStaleness is JIRAGATE_STORE_STALENESS: the bound for a grant that was revoked.
	fleetStaleness = 15 * time.Second
	// seenWithin is within what a change is seen by every gateway that reaches etcd, on a
	// machine as busy as those of CI.
	seenWithin = 5 * time.Second
	// longPause is for how long a gateway is stopped, with whatever it has under way.
	longPause = time.Minute
)

// TestFleet: gateways share a store in a cluster of three members, call for many connections
// whose tokens end all the time, and everything that can be killed, paused or cut off is. No
// refresh is lost or made twice, no grant is used for longer than said after it was revoked, and
// when all is quiet again every connection can be used by every gateway.
func TestFleet(t *testing.T) {
	f := setFleet(t, build(t))
	load, stop := context.WithCancel(t.Context())
	defer stop()
	var calling sync.WaitGroup
	for i := range 6 {
		calling.Go(func() { f.call(load, rand.New(rand.NewPCG(*soakSeed, uint64(i)))) })
	}
	f.trouble(t)
	stop()
	calling.Wait()

	f.everythingWorks(t)
	f.reconcile(t)
	f.verdict(t)
}

// trouble is all that happens to the fleet, one after another, beside the calls; one gateway is
// stopped all the while.
func (f *fleet) trouble(t *testing.T) {
	rest := func() { time.Sleep(3 * time.Second) }
	paused := f.gateways[2]
	paused.command.Process.Signal(syscall.SIGSTOP)
	paused.away.begin()
	woken := time.Now().Add(longPause)

	rest()
	f.revoked(t, f.gateways[1], seenWithin, func() {})

	t.Log("a gateway is killed in the middle of its refreshes")
	f.gateways[0].away.begin()
	f.gateways[0].command.Process.Kill()
	<-f.gateways[0].exited
	rest()
	f.gateways[0].start(t)
	f.gateways[0].away.end()

	t.Log("the leader of etcd is killed")
	f.etcd.begin()
	leader := f.cluster.Leader()
	leader.Kill()
	rest()
	leader.Restart()
	leader.WaitReady()
	f.etcd.end()

	t.Log("a gateway is cut off from etcd, for longer than its lease and its staleness")
	cut := f.gateways[1]
	cut.away.begin()
	f.revoked(t, cut, fleetStaleness+seenWithin, cut.link.Cut)
	rest()
	cut.link.Reset()
	cut.link.Heal()
	f.ready(t, cut)
	cut.away.end()

	t.Log("the leader of etcd is stopped, and then cut off from the others")
	f.etcd.begin()
	leader = f.cluster.Leader()
	leader.Pause()
	rest()
	leader.Resume()
	leader = f.cluster.Leader()
	leader.CutPeers()
	rest()
	leader.HealPeers()
	f.cluster.WaitReady()
	f.etcd.end()

	t.Log("the gateway that was stopped for a minute goes on")
	time.Sleep(time.Until(woken))
	paused.command.Process.Signal(syscall.SIGCONT)
	f.ready(t, paused)
	paused.away.end()
	rest()
}

// revoked takes a grant away, after something has happened to the gateway, and sees that it makes
// no calls under it for longer than that.
func (f *fleet) revoked(t *testing.T, g *fleetGateway, within time.Duration, happens func()) {
	connection := f.connections[f.nextRevoked]
	f.nextRevoked++
	before := f.once(t.Context(), g, "revoked", connection)
	if before.status != http.StatusOK {
		t.Errorf("a call under a grant that holds: %+v", before)
	}
	happens()
	if err := f.store.Revoke(t.Context(), "revoked", connection); err != nil {
		t.Fatal(err)
	}
	bound := time.Now().Add(within)
	for {
		began := time.Now()
		r := f.once(t.Context(), g, "revoked", connection)
		switch {
		case r.status == http.StatusForbidden:
			t.Logf("the grant was used for another %v at most", began.Sub(bound.Add(-within)).Round(time.Millisecond))
			return
		case r.status == http.StatusOK && began.After(bound):
			t.Errorf("a call under a grant that was revoked %v ago", within)
			return
		case r.status != http.StatusOK && began.After(bound) && !g.away.now():
			t.Errorf("a grant was revoked %v ago, and the gateway does not say so: %+v", within, r)
			return
		case r.status != http.StatusOK && began.After(bound):
			t.Logf("the grant was used for %v at most, until calls were refused since the store is away", within)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// everythingWorks calls for every connection by every gateway.
func (f *fleet) everythingWorks(t *testing.T) {
	for _, g := range f.gateways {
		var wg sync.WaitGroup
		for part := range 8 {
			wg.Go(func() {
				for i := part; i < len(f.connections); i += 8 {
					var last answer
					for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
						if last = f.once(t.Context(), g, "fleet", f.connections[i]); last.status == http.StatusOK {
							break
						}
					}
					if last.status != http.StatusOK {
						t.Errorf("in the end %s can't be called by %s: %+v", f.connections[i], g.name, last)
					}
				}
			})
		}
		wg.Wait()
	}
	for _, c := range f.store.Directory().Connections() {
		if c.State != tokenstore.StateActive {
			t.Errorf("in the end %s is %s: %s", c.ID, c.State, c.StateReason)
		}
	}
}

// reconcile compares what the authorization server has done with what is stored. Each
// generation of a credential came of one exchange of the token before it, and of as many
// repetitions of that as answers were lost with the gateways that waited for them.
func (f *fleet) reconcile(t *testing.T) {
	for _, g := range f.gateways {
		if code, _, err := g.stop(); code != 0 || err != nil {
			t.Errorf("%s ends with code %d, %v\n%s", g.name, code, err, g.logged())
		}
	}
	generations := 0
	for _, id := range f.connections {
		c, err := f.store.Credential(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		generations += int(c.Generation - tokenstore.FirstGeneration(c.Incarnation()))
		if !f.sim.RefreshTokenCurrent(c.RefreshToken.Reveal()) {
			t.Errorf("the refresh token that is stored of %s is not the one that the server takes", id)
		}
	}
	stats := f.sim.TokenStats()
	t.Logf("%d connections, %d generations, at the server %+v", len(f.connections), generations, stats)
	if stats.Breaches > 0 || stats.Refused > 0 || stats.BadClient > 0 {
		t.Errorf("the server has refused refreshes: %+v", stats)
	}
	if once := stats.Refreshes - stats.Reuses; once != generations {
		t.Errorf("%d refresh tokens were exchanged, and %d generations are stored", once, generations)
	}
	if generations < len(f.connections) {
		t.Errorf("only %d refreshes were made: the test proves little", generations)
	}
	// A gateway was killed, one stopped, and one cut off, with no more than what they had
	// under way.
	if most := 3 * 16 * 2; stats.Reuses > most {
		t.Errorf("%d refresh tokens were sent again, and only %d answers can have got lost", stats.Reuses, most)
	}
	if notes, err := f.store.Rotations(t.Context()); err != nil || len(notes) > 0 {
		t.Errorf("notes of refreshes stand: %v, %v", notes, err)
	}
	if err := f.store.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// verdict is on the calls that were made meanwhile.
func (f *fleet) verdict(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("%d calls, %d of them refused for what was done to a gateway or to etcd", f.calls, f.excused)
	for _, v := range f.violations {
		t.Error(v)
	}
	if f.calls < len(f.connections) {
		t.Errorf("only %d calls were made", f.calls)
	}
}

// call makes calls until ctx ends, for connections by chance, by gateways that run.
func (f *fleet) call(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		g := f.gateways[random.IntN(len(f.gateways))]
		connection := f.connections[random.IntN(len(f.connections))]
		if g.away.now() {
			time.Sleep(time.Millisecond)
			continue
		}
		began := time.Now()
		r := f.once(ctx, g, "fleet", connection)
		if ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		f.calls++
		switch {
		case r.status == http.StatusOK:
		case g.away.since(began) || f.etcd.since(began):
			f.excused++
		case len(f.violations) < 20:
			f.violations = append(f.violations, fmt.Sprintf("%s: %s by %s after %v: %+v", began.Format(time.TimeOnly), connection, g.name, time.Since(began).Round(time.Millisecond), r))
		}
		f.mu.Unlock()
	}
}

// answer of a call.
type answer struct {
	status int
	code   string
	err    error
}

// once calls for a connection by a gateway.
func (f *fleet) once(ctx context.Context, g *fleetGateway, client, connection string) answer {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.proxy+"/c/"+connection+"/rest/api/3/myself", nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Proxy-Authorization", "Bearer "+f.tokens[client])
	response, err := f.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	return answer{status: response.StatusCode, code: strings.TrimSpace(response.Header.Get("Jiragate-Code"))}
}
