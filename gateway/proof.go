package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"jiragate/tokenstore"
)

// proofs protect the customer's account from the gateway's own concurrency.
// Jira locks an account behind a CAPTCHA after a few wrong passwords in a row, and
// a burst of calls with a password that was changed overnight would be just that.
// So a stored password that Jira has not accepted for a while is tried by one
// call, the scout, before the others use it. Its zero value is ready to use.
type proofs struct {
	mu   sync.Mutex
	byID map[string]*proof
}

// proof is about one generation of one connection's credential.
type proof struct {
	generation uint64
	accepted   time.Time     // by Jira, for the last time
	blocked    time.Time     // until then it is not sent
	scout      chan struct{} // closed when the scout is back; nil while there is none
}

// turn is what a call has to do with a proof.
type turn struct {
	proofs     *proofs
	connection string
	generation uint64
	scout      chan struct{} // not nil: the call is the scout
	// fresh: it was got at once, and of the newest generation, so that what the call
	// has just read of the credential will do.
	fresh bool
}

var (
	// errScoutAway: whether Jira accepts the password is not known yet.
	errScoutAway = errors.New("the call that tries the password first is not back")
	// errBlocked: Jira has refused the password, which could not be stored.
	errBlocked = errors.New("the password was refused by Jira a moment ago")
)

// take waits until the credential of this generation may be used: it was
// accepted lately, or the call goes first to find out. Whoever gets a turn looks
// at the connection again before it sends anything: what another call has found
// is known by then.
func (p *proofs) take(ctx context.Context, connection string, generation uint64) (turn, error) {
	t := turn{proofs: p, connection: connection, generation: generation}
	patience := time.NewTimer(proofPatience)
	defer patience.Stop()
	for first := true; ; first = false {
		busy, err := p.enter(&t)
		if busy == nil {
			t.fresh = t.fresh && first
			return t, err
		}
		select {
		case <-busy:
		case <-patience.C:
			return turn{}, errScoutAway
		case <-ctx.Done():
			return turn{}, ctx.Err()
		}
	}
}

// enter returns the scout to wait for, or nil.
func (p *proofs) enter(t *turn) (chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.byID[t.connection]
	if known == nil || known.generation < t.generation {
		if p.byID == nil {
			p.byID = make(map[string]*proof)
		}
		known = &proof{generation: t.generation}
		p.byID[t.connection] = known
	}
	switch {
	case known.generation > t.generation: // read before it was replaced
		return nil, nil
	case time.Now().Before(known.blocked):
		return nil, errBlocked
	case time.Since(known.accepted) < proofLifetime:
		t.fresh = true
		return nil, nil
	case known.scout != nil:
		return known.scout, nil
	}
	t.fresh = true
	t.scout = make(chan struct{})
	known.scout = t.scout
	return nil, nil
}

// holds reports whether the turn is for this generation.
func (t *turn) holds(generation uint64) bool {
	return t.proofs != nil && t.generation == generation
}

// block keeps the credential from being sent for a while, where the store did not
// take that Jira has refused it.
func (t *turn) block() {
	if t.proofs == nil {
		return
	}
	t.proofs.mu.Lock()
	defer t.proofs.mu.Unlock()
	if known := t.proofs.byID[t.connection]; known != nil && known.generation == t.generation {
		known.accepted, known.blocked = time.Time{}, time.Now().Add(proofLifetime)
	}
}

// done ends a turn: accepted says that Jira let the credential in. A zero turn
// changes nothing, and so does a second call.
func (t *turn) done(accepted bool) {
	if t.proofs == nil {
		return
	}
	p := t.proofs
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byID[t.connection]; known != nil && known.generation == t.generation {
		if accepted {
			known.accepted = time.Now()
		}
		if t.scout != nil && known.scout == t.scout {
			known.scout = nil
		}
	}
	if t.scout != nil {
		close(t.scout)
	}
	*t = turn{}
}

// refused ends a turn of which Jira refused the credential: what was proven before
// counts no more.
func (t *turn) refused() {
	if t.proofs != nil {
		t.proofs.mu.Lock()
		if known := t.proofs.byID[t.connection]; known != nil && known.generation == t.generation {
			known.accepted = time.Time{}
		}
		t.proofs.mu.Unlock()
	}
	t.done(false)
}

// keep forgets the connections that are no more.
func (p *proofs) keep(dir *tokenstore.Directory) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, known := range p.byID {
		if _, ok := dir.Connection(id); !ok && known.scout == nil {
			delete(p.byID, id)
		}
	}
}
