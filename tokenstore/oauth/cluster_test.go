package oauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

// How long a claim lasts after its process was heard of last: for that process,
// which counts from when it asked, and for all others.
const (
	ownTTL   = 10 * time.Second
	otherTTL = 15 * time.Second
)

// cluster is a store that several gateways share: a real one, with the claims,
// fences and leases that a backend for one process has no use for.
type cluster struct {
	store *bolt.Store

	mu      sync.Mutex
	changed chan struct{} // closed when it makes sense to look again
	fence   uint64
	latest  map[string]uint64 // the fence of the last claim, by connection
	claims  map[string]*standing
}

// standing is a claim that somebody has.
type standing struct {
	by    *member
	lease *lease
	fence uint64
}

func newCluster(store *bolt.Store) *cluster {
	return &cluster{store: store, changed: make(chan struct{}), latest: make(map[string]uint64), claims: make(map[string]*standing)}
}

// tell wakes who waits. The caller holds c.mu.
func (c *cluster) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// lease is kept alive until stop.
type lease struct {
	lapsed chan struct{}
	// blind: the clock that it is compared with stands still, as none may. What is
	// left is the fence.
	blind bool

	mu  sync.Mutex
	end time.Time
}

func (l *lease) Held() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end.IsZero() || l.blind || time.Now().Before(l.end) {
		return nil
	}
	return tokenstore.ErrLapsed
}

func (l *lease) Lapsed() <-chan struct{} { return l.lapsed }

// member is the view that one process has of the cluster.
type member struct {
	*bolt.Store
	c     *cluster
	blind bool

	mu     sync.Mutex
	lease  *lease
	away   error // why the store can't be reached; what was read is there
	begun  []tokenstore.Claim
	stored []string // refresh tokens
	failed []error  // what the next FinishRotations return
	tries  int      // BeginRotations

	beforeFinish func()
	onStored     func(tokenstore.Credential)
}

func (c *cluster) join() *member { return &member{Store: c.store, c: c} }

var errCut = errors.New("the store can't be reached")

// stop: the process isn't heard of any more.
func (m *member) stop() {
	m.mu.Lock()
	l := m.lease
	m.lease = nil
	m.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	l.end = time.Now().Add(ownTTL)
	l.mu.Unlock()
	time.AfterFunc(ownTTL, func() {
		if !l.blind {
			close(l.lapsed)
		}
	})
	time.AfterFunc(otherTTL, func() { m.c.expire(l) })
}

// expire ends the claims that stand on a lease.
func (c *cluster) expire(l *lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.claims {
		if s.lease == l {
			delete(c.claims, id)
		}
	}
	c.tell()
}

// part makes the store unreachable for this process; nil makes it reachable again.
func (m *member) part(why error) {
	m.mu.Lock()
	m.away = why
	m.mu.Unlock()
	if why != nil {
		m.stop()
	}
}

func (m *member) reach() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.away
}

// last is the claim that the process took last.
func (m *member) last() tokenstore.Claim {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begun[len(m.begun)-1]
}

func (m *member) BeginRotation(ctx context.Context, id string, generation uint64) (tokenstore.Claim, error) {
	if err := m.reach(); err != nil {
		return tokenstore.Claim{}, err
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries++
	if s := m.c.claims[id]; s != nil && s.by != m {
		if cred, err := m.Store.Credential(ctx, id); err == nil && cred.Generation == generation {
			return tokenstore.Claim{}, fmt.Errorf("connection %s: %w", id, tokenstore.ErrClaimed)
		}
	}
	noted, err := m.Store.BeginRotation(ctx, id, generation)
	if err != nil {
		return tokenstore.Claim{}, err
	}
	if m.lease == nil {
		m.lease = &lease{lapsed: make(chan struct{}), blind: m.blind}
	}
	m.c.fence++
	m.c.latest[id] = m.c.fence
	m.c.claims[id] = &standing{m, m.lease, m.c.fence}
	claim := tokenstore.NewClaim(noted.Rotation, noted.Stood, m.c.fence, m.lease)
	m.begun = append(m.begun, claim)
	return claim, nil
}

func (m *member) AwaitRotation(ctx context.Context, id string, generation uint64) error {
	for {
		if err := m.reach(); err != nil {
			return err
		}
		m.c.mu.Lock()
		s, changed := m.c.claims[id], m.c.changed
		cred, err := m.Store.Credential(ctx, id)
		m.c.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil, cred.Generation != generation, s == nil, s.by == m:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *member) FinishRotation(ctx context.Context, claim tokenstore.Claim, c tokenstore.Credential) error {
	m.mu.Lock()
	before := m.beforeFinish
	m.mu.Unlock()
	if before != nil {
		before()
	}
	if err := m.reach(); err != nil {
		return err
	}
	m.mu.Lock()
	var fail error
	if len(m.failed) > 0 {
		fail, m.failed = m.failed[0], m.failed[1:]
	}
	m.mu.Unlock()
	if fail != nil {
		return fail
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	cred, err := m.Store.Credential(ctx, claim.Connection)
	if err == nil && cred.Generation == claim.Generation && m.c.latest[claim.Connection] != claim.Fence {
		return fmt.Errorf("connection %s: %w", claim.Connection, tokenstore.ErrLapsed)
	}
	err = m.Store.FinishRotation(ctx, claim, c)
	if err == nil {
		m.mu.Lock()
		m.stored = append(m.stored, c.RefreshToken.Reveal())
		m.mu.Unlock()
		if m.onStored != nil {
			m.onStored(c)
		}
	}
	if err == nil || errors.Is(err, tokenstore.ErrConflict) || errors.Is(err, tokenstore.ErrNotFound) {
		m.c.giveUp(claim)
	}
	return err
}

// giveUp ends a claim, if it is the last one. The caller holds c.mu.
func (c *cluster) giveUp(claim tokenstore.Claim) {
	if s := c.claims[claim.Connection]; s != nil && s.fence == claim.Fence {
		delete(c.claims, claim.Connection)
		c.tell()
	}
}

func (m *member) EndRotation(ctx context.Context, claim tokenstore.Claim) error {
	return m.quit(claim, func() error { return m.Store.EndRotation(ctx, claim) })
}

func (m *member) YieldRotation(ctx context.Context, claim tokenstore.Claim) error {
	return m.quit(claim, func() error { return m.Store.YieldRotation(ctx, claim) })
}

func (m *member) quit(claim tokenstore.Claim, do func() error) error {
	if err := m.reach(); err != nil {
		return err
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.c.latest[claim.Connection] != claim.Fence {
		return nil
	}
	err := do()
	if err == nil {
		m.c.giveUp(claim)
	}
	return err
}

func (m *member) ReplaceCredential(ctx context.Context, id string, generation uint64, c tokenstore.Credential) error {
	return m.change(id, func() error { return m.Store.ReplaceCredential(ctx, id, generation, c) })
}

func (m *member) RemoveConnection(ctx context.Context, id string, incarnation uint64) error {
	return m.change(id, func() error { return m.Store.RemoveConnection(ctx, id, incarnation) })
}

func (m *member) RequireReauthorisation(ctx context.Context, id string, generation uint64, reason string) error {
	return m.change(id, func() error {
		if s := m.c.claims[id]; s != nil && s.by != m {
			if cred, err := m.Store.Credential(ctx, id); err == nil && cred.Generation == generation {
				return fmt.Errorf("connection %s: %w", id, tokenstore.ErrClaimed)
			}
		}
		return m.Store.RequireReauthorisation(ctx, id, generation, reason)
	})
}

// change makes a change that ends any claim of the connection.
func (m *member) change(id string, do func() error) error {
	if err := m.reach(); err != nil {
		return err
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	err := do()
	if err == nil {
		delete(m.c.claims, id)
		m.c.tell()
	}
	return err
}

func (m *member) UpdateConnection(ctx context.Context, id string, change func(*tokenstore.Connection) error) error {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	defer m.c.tell() // it may be a new incarnation
	return m.Store.UpdateConnection(ctx, id, change)
}

// TestCluster: the double keeps the promises that it stands in for.
func TestCluster(t *testing.T) {
	storetest.RunFleet(t, func(t *testing.T) (a, b tokenstore.Store, lapse func()) {
		c := newCluster(openBolt(t))
		first := c.join()
		return first, c.join(), func() {
			first.mu.Lock()
			l := first.lease
			first.lease = nil
			first.mu.Unlock()
			l.mu.Lock()
			l.end = time.Now()
			l.mu.Unlock()
			close(l.lapsed)
			c.expire(l)
		}
	})
}
