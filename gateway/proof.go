package gateway

import (
	"context"
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
	scout      chan struct{} // closed when the scout is back; nil while there is none
}

// turn is what a call has to do with a proof.
type turn struct {
	proofs     *proofs
	connection string
	generation uint64
	scout      chan struct{} // not nil: the call is the scout
}

// take waits until the credential of this generation may be used: it was
// accepted lately, or the call goes first to find out. A wait that is longer than
// proofPatience ends too, lest one slow answer holds up all: then the call is
// another scout. The second result says whether it waited, so that what the caller
// knew may be out of date.
func (p *proofs) take(ctx context.Context, connection string, generation uint64) (turn, bool, error) {
	t := turn{proofs: p, connection: connection, generation: generation}
	timeout := time.NewTimer(proofPatience)
	defer timeout.Stop()
	for waited, late := false, false; ; waited = true {
		busy := p.enter(&t, late)
		if busy == nil {
			return t, waited, nil
		}
		select {
		case <-busy:
		case <-timeout.C:
			late = true
		case <-ctx.Done():
			return turn{}, waited, ctx.Err()
		}
	}
}

// enter returns the scout to wait for, or nil.
func (p *proofs) enter(t *turn, late bool) chan struct{} {
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
	case known.generation > t.generation: // read before it was replaced: on its own
		return nil
	case time.Since(known.accepted) < proofLifetime:
		return nil
	case known.scout != nil && !late:
		return known.scout
	}
	t.scout = make(chan struct{})
	known.scout = t.scout
	return nil
}

// holds reports whether the turn is for this generation.
func (t *turn) holds(generation uint64) bool {
	return t.proofs != nil && t.generation == generation
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
