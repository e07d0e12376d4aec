package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"jiragate/tokenstore"
)

// proofs protect the customer's account from the gateway's own concurrency.
// Jira locks an account behind a CAPTCHA after a few wrong passwords in a row, and
// a burst of calls with a password that was changed overnight would be just that.
// So a stored password that Jira has not accepted for a while is tried by one
// call, the scout, before the others use it. Its zero value is ready to use.
type proofs struct {
	byID sync.Map // of *proof, by id of the connection
}

// proof is about one generation of one connection's credential; another generation
// has another one.
type proof struct {
	generation uint64
	made       time.Time
	// Counted from made, 0 for never; set with mu held, and read without: as a rule
	// that is all that a call needs.
	accepted atomic.Int64 // by Jira, for the last time
	blocked  atomic.Int64 // until then it is not sent

	mu    sync.Mutex
	scout chan struct{} // closed when the scout is back; nil while there is none
}

// turn is what a call has to do with a proof.
type turn struct {
	proof *proof
	scout chan struct{} // not nil: the call is the scout
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
	known := p.of(connection, generation)
	if known == nil { // read before it was replaced
		return turn{proof: &proof{generation: generation}}, nil
	}
	t := turn{proof: known}
	if now := known.now(); now >= known.blocked.Load() && known.lately(now) {
		t.fresh = true
		return t, nil
	}
	busy, err := known.enter(&t)
	if busy == nil {
		return t, err
	}
	patience := time.NewTimer(proofPatience)
	defer patience.Stop()
	for {
		select {
		case <-busy:
		case <-patience.C:
			return turn{}, errScoutAway
		case <-ctx.Done():
			return turn{}, ctx.Err()
		}
		if busy, err = known.enter(&t); busy == nil {
			t.fresh = false
			return t, err
		}
	}
}

// of returns the proof of a generation, or nil where there is a younger one.
func (p *proofs) of(connection string, generation uint64) *proof {
	for {
		present, ok := p.byID.Load(connection)
		if ok {
			switch known := present.(*proof); {
			case known.generation == generation:
				return known
			case known.generation > generation:
				return nil
			}
		}
		next := &proof{generation: generation, made: time.Now()}
		if !ok {
			if _, raced := p.byID.LoadOrStore(connection, next); !raced {
				return next
			}
		} else if p.byID.CompareAndSwap(connection, present, next) {
			return next
		}
	}
}

// now is the time since just before the proof was made, which is never 0, and which no
// clock that is set changes.
func (p *proof) now() int64 { return 1 + int64(time.Since(p.made)) }

// lately reports whether Jira has accepted the credential a moment ago.
func (p *proof) lately(now int64) bool {
	at := p.accepted.Load()
	return at != 0 && time.Duration(now-at) < proofLifetime
}

// enter returns the scout to wait for, or nil.
func (p *proof) enter(t *turn) (chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := p.now(); {
	case now < p.blocked.Load():
		return nil, errBlocked
	case p.lately(now):
		t.fresh = true
		return nil, nil
	case p.scout != nil:
		return p.scout, nil
	}
	t.fresh = true
	t.scout = make(chan struct{})
	p.scout = t.scout
	return nil, nil
}

// holds reports whether the turn is for this generation.
func (t *turn) holds(generation uint64) bool {
	return t.proof != nil && t.proof.generation == generation
}

// block keeps the credential from being sent for a while, where the store did not
// take that Jira has refused it.
func (t *turn) block() {
	if t.proof == nil {
		return
	}
	t.proof.mu.Lock()
	defer t.proof.mu.Unlock()
	t.proof.blocked.Store(t.proof.now() + int64(proofLifetime))
	t.proof.accepted.Store(0)
}

// done ends a turn: accepted says that Jira let the credential in. A zero turn
// changes nothing, and so does a second call.
func (t *turn) done(accepted bool) {
	if t.proof == nil {
		return
	}
	p := t.proof
	p.mu.Lock()
	defer p.mu.Unlock()
	if accepted {
		p.accepted.Store(p.now())
	}
	if t.scout != nil {
		if p.scout == t.scout {
			p.scout = nil
		}
		close(t.scout)
	}
	*t = turn{}
}

// refused ends a turn of which Jira refused the credential: what was proven before
// counts no more.
func (t *turn) refused() {
	if t.proof != nil {
		t.proof.mu.Lock()
		t.proof.accepted.Store(0)
		t.proof.mu.Unlock()
	}
	t.done(false)
}

// keep forgets the connections that are no more.
func (p *proofs) keep(dir *tokenstore.Directory) {
	p.byID.Range(func(id, known any) bool {
		if _, ok := dir.Connection(id.(string)); !ok && !known.(*proof).scouted() {
			p.byID.CompareAndDelete(id, known)
		}
		return true
	})
}

func (p *proof) scouted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scout != nil
}
