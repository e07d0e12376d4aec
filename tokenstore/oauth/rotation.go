package oauth

import (
	"context"
	"fmt"

	"jiragate/tokenstore"
)

var (
	// errElsewhere: another gateway has the claim, and had not ended when the time
	// was over.
	errElsewhere = fmt.Errorf("%w: %w", ErrUnavailable, tokenstore.ErrClaimed)
	// errUnheld: what has lapsed is not ours to use, nor to judge by.
	errUnheld = fmt.Errorf("%w: %w: this gateway was paused, or cut off from the store, and asks again", ErrUnavailable, tokenstore.ErrLapsed)
)

// whileHeld ends ctx when the claim lapses.
func whileHeld(ctx context.Context, claim *tokenstore.Claim) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if lapsed := claim.Lapsed(); lapsed != nil {
		go func() {
			select {
			case <-lapsed:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// awaitOther waits until another gateway's refresh of this generation has ended. If
// it doesn't in time, o is what came of that.
func (m *Manager) awaitOther(ctx context.Context, h holder, generation uint64) (o outcome, ended bool) {
	err := m.store.AwaitRotation(ctx, h.connection, generation)
	if err == nil && ctx.Err() == nil {
		return outcome{}, true
	}
	// Whoever was paused finds the time over, and the token perhaps renewed.
	if _, cred, err := m.lookup(context.WithoutCancel(ctx), h); err == nil && cred.Generation != generation && usable(cred, m.now()) {
		return outcome{result: resultAlreadyFresh, generation: cred.Generation, token: cred.AccessToken}, false
	}
	o = outcome{result: resultUnavailable, generation: generation, err: errElsewhere}
	if ctx.Err() == nil {
		o.err = fmt.Errorf("%w, and when that ends can't be learned: %w", errElsewhere, err)
	}
	return o, false
}

// takeBack ends the note and the claim of a refresh that certainly exchanged
// nothing. Where that fails the note stands, which costs no more than a refresh.
func (m *Manager) takeBack(ctx context.Context, claim *tokenstore.Claim) (ended bool) {
	return m.ended(ctx, claim, m.store.EndRotation(context.WithoutCancel(ctx), *claim))
}

// yield lets any gateway go on with a refresh whose answer may be lost: this one
// may have lost its way to the authorization server.
func (m *Manager) yield(ctx context.Context, claim *tokenstore.Claim) {
	m.ended(ctx, claim, m.store.YieldRotation(context.WithoutCancel(ctx), *claim))
}

func (m *Manager) ended(ctx context.Context, claim *tokenstore.Claim, err error) bool {
	if err != nil {
		m.log.WarnContext(ctx, "the note of an OAuth refresh could not be ended", "connection", claim.Connection, "error", err.Error(),
			"hint", "look at the store: the disk of JIRAGATE_DATA_DIR, or etcd's members; it is tried again")
	}
	return err == nil
}

// drop forgets a new pair that is not to be stored.
func (m *Manager) drop(ctx context.Context, h holder, u *unstored) {
	m.mu.Lock()
	if r := m.renewalOf(h); r.last.unstored == u {
		r.last.unstored = nil
	}
	m.mu.Unlock()
	m.dropped(ctx, h)
}

// dropped tells of a new pair that is not stored because another gateway is at it.
func (m *Manager) dropped(ctx context.Context, h holder) {
	m.log.WarnContext(ctx, "a renewed token was dropped: the claim of its refresh had lapsed, and another gateway has taken it",
		"connection", h.connection,
		"hint", "the other gateway repeats the refresh; find out why this one was paused, or cut off from the store, for so long")
}
