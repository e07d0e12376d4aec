package oauth

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// outcome of a refresh: a token, or err.
type outcome struct {
	result     result
	generation uint64 // of the stored credential that this is about; 0: not known

	token    secret.Secret
	lifetime time.Duration // of a token that is new

	err        error
	retryAfter time.Duration
	repeat     bool // try again unasked, for a while
	pending    bool // the refresh token may have been exchanged: try again until that is clear
	unstored   *unstored

	// elsewhere: nothing came of it, because another gateway has the claim of the
	// rotation of that generation.
	elsewhere bool
}

// refresh runs detached from whoever asked for it.
func (m *Manager) refresh(ctx context.Context, h holder, f *flight) {
	began := m.now()
	o := outcome{result: resultFailed, err: fmt.Errorf("%w: the refresh broke down", ErrUnavailable)}
	defer func() {
		// Nothing above this goroutine keeps a panic from ending the program. Its
		// value is not logged: it might be anything.
		if p := recover(); p != nil {
			m.log.ErrorContext(ctx, "panic in an OAuth refresh", "connection", h.connection,
				"type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()), "hint", "a bug: report the stack and the program's version")
		}
		m.report(ctx, h.connection, o)
		f.endSpan(o)
		m.meters.measure(ctx, f.edition, o.result, m.now().Sub(began))
		m.land(h, f, o)
	}()
	o = m.attempt(ctx, h, f)
}

// attempt refreshes, or waits for another gateway which does, and looks again: as a
// rule that one has left a fresh token.
func (m *Manager) attempt(ctx context.Context, h holder, f *flight) outcome {
	waiting, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	for {
		o := m.try(ctx, h, f.demand)
		if !o.elsewhere {
			return o
		}
		if m.leave(h, f) {
			return outcome{result: resultElsewhere, generation: o.generation, err: errElsewhere}
		}
		o, ended := m.awaitOther(waiting, h, o.generation)
		if !ended {
			return o
		}
	}
}

// try reads what is stored, exchanges it, and stores what comes back.
func (m *Manager) try(ctx context.Context, h holder, d demand) outcome {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	// Read again: another refresh may have ended since the caller looked.
	c, cred, err := m.lookup(ctx, h)
	if err != nil {
		return outcome{result: resultFailed, err: err}
	}
	needed, left := m.needed(h, cred, d)
	if !needed {
		return outcome{result: resultAlreadyFresh, generation: cred.Generation, token: cred.AccessToken}
	}
	if left != nil {
		o := m.commit(ctx, h, left)
		if o.err != nil || usable(left.credential, m.now()) {
			return o
		}
		// Stored at last, but its access token has ended.
		cred = left.credential
		cred.Generation = o.generation
	}
	if cred.RefreshToken.IsZero() {
		return m.giveUp(ctx, h, cred.Generation, nil, errNoRefreshToken)
	}
	p, err := m.provider(c, &cred)
	if err != nil {
		return outcome{result: resultNotConfigured, generation: cred.Generation, err: err}
	}

	claim, err := m.store.BeginRotation(ctx, h.connection, cred.Generation)
	switch {
	case errors.Is(err, tokenstore.ErrClaimed):
		return outcome{generation: cred.Generation, elsewhere: true}
	case errors.Is(err, tokenstore.ErrConflict):
		return m.superseded(ctx, h)
	case errors.Is(err, tokenstore.ErrNotFound):
		return outcome{result: resultFailed, generation: cred.Generation, err: err}
	case err != nil:
		return outcome{
			result: resultNotStored, generation: cred.Generation, repeat: true,
			err: fmt.Errorf("%w: nothing was sent, since a refresh that is about to be made could not be noted: %w", ErrUnavailable, err),
		}
	}
	before := m.now()
	g, fail := m.exchange(ctx, c, &p, cred.RefreshToken, &claim)
	if fail == nil {
		return m.commit(ctx, h, &unstored{claim, renewed(&p, cred, g, before), g.lifetime})
	}
	if errors.Is(fail.err, errDeadGrant) {
		return m.giveUp(ctx, h, cred.Generation, &claim, p.errDeadGrant(&claim, before))
	}
	o := outcome{result: resultUnavailable, generation: cred.Generation, err: fail.err, retryAfter: fail.retryAfter, repeat: true, pending: true}
	if !fail.untouched {
		o.result = resultAmbiguous
	}
	if fail.untouched && !claim.Stood {
		o.pending = !m.takeBack(ctx, &claim)
	} else {
		m.yield(ctx, &claim)
	}
	if errors.Is(fail.err, ErrClientRejected) {
		o.result, o.repeat = resultClientRejected, false
	}
	return o
}

// renewed is the credential after a refresh that began at now. Scopes that don't
// look like any of Jira's are left out, since scopes are shown; one that can't be
// stored is no reason to lose the tokens that came with it.
func renewed(p *provider, old tokenstore.Credential, g grant, now time.Time) tokenstore.Credential {
	c := old
	c.AccessToken, c.RefreshToken, c.Expiry = g.accessToken, g.refreshToken, g.expiry
	p.life.prolong(&c, now)
	if scopes := slices.DeleteFunc(sortedScopes(g.scopes), func(s string) bool { return !scopeForm.MatchString(s) }); len(scopes) > 0 {
		with := c
		with.Scopes = scopes
		if with.Validate() == nil {
			return with
		}
	}
	return c
}

// sortedScopes returns a sorted copy without duplicates.
func sortedScopes(scopes []string) []string {
	s := slices.Clone(scopes)
	slices.Sort(s)
	return slices.Compact(s)
}

// commit stores a new pair. Only then its access token is anyone's to use. A
// generation belongs to one incarnation, so that no other gets the pair; nor is it
// stored if another gateway has taken over, which may have a newer one.
func (m *Manager) commit(ctx context.Context, h holder, u *unstored) outcome {
	// Not bound to the time that the exchange took: the old pair is worth nothing.
	ctx = context.WithoutCancel(ctx)
	generation := u.claim.Generation
	err := m.store.FinishRotation(ctx, u.claim, u.credential)
	switch {
	case err == nil:
		return outcome{result: resultRefreshed, generation: generation + 1, token: u.credential.AccessToken, lifetime: u.lifetime}
	case errors.Is(err, tokenstore.ErrLapsed):
		m.drop(ctx, h, u)
		return outcome{generation: generation, elsewhere: true}
	case errors.Is(err, tokenstore.ErrConflict):
		return m.superseded(ctx, h)
	case errors.Is(err, tokenstore.ErrNotFound):
		return outcome{result: resultFailed, generation: generation, err: err}
	case errors.Is(err, tokenstore.ErrInvalid):
		m.yield(ctx, &u.claim)
		return outcome{
			result: resultUnavailable, generation: generation, repeat: true, pending: true,
			err: fmt.Errorf("%w: the answer to the refresh can't be stored: %w", ErrUnavailable, err),
		}
	}
	return outcome{
		result: resultNotStored, generation: generation, repeat: true, pending: true, unstored: u,
		err: fmt.Errorf("%w: the renewed token could not be stored: %w", ErrUnavailable, err),
	}
}

// superseded: the credential was replaced while it was refreshed, by a new
// consent for instance, and what is there now counts, if it is the holder's.
func (m *Manager) superseded(ctx context.Context, h holder) outcome {
	_, cred, err := m.lookup(ctx, h)
	switch {
	case err != nil:
		return outcome{result: resultFailed, err: err}
	case usable(cred, m.now()):
		return outcome{result: resultAlreadyFresh, generation: cred.Generation, token: cred.AccessToken}
	}
	return outcome{
		result: resultUnavailable, generation: cred.Generation,
		err: fmt.Errorf("%w: the credential was replaced in the meantime", ErrUnavailable),
	}
}

// giveUp makes a connection whose grant is gone wait for a new consent, unless
// that has arrived: only the credential of this generation is condemned. claim is
// that under which it was learned, or nil: one that has lapsed condemns nothing,
// since another gateway may have been given a new pair before.
func (m *Manager) giveUp(ctx context.Context, h holder, generation uint64, claim *tokenstore.Claim, why error) outcome {
	ctx = context.WithoutCancel(ctx)
	o := m.condemn(ctx, h, generation, claim, why)
	if claim != nil {
		m.yield(ctx, claim) // unless it has ended with the state
	}
	return o
}

func (m *Manager) condemn(ctx context.Context, h holder, generation uint64, claim *tokenstore.Claim, why error) outcome {
	if _, _, err := m.lookup(ctx, h); err != nil {
		return outcome{result: resultFailed, err: err}
	}
	if claim != nil && claim.Held() != nil {
		return outcome{result: resultUnavailable, generation: generation, repeat: true, pending: true, err: errUnheld}
	}
	o := outcome{
		result: resultNeedsReauthorisation, generation: generation,
		err: fmt.Errorf("%w: %w", ErrNeedsReauthorisation, why),
	}
	err := m.store.RequireReauthorisation(ctx, h.connection, generation, why.Error())
	switch {
	case errors.Is(err, tokenstore.ErrClaimed):
		return outcome{generation: generation, elsewhere: true}
	case errors.Is(err, tokenstore.ErrConflict):
		return m.superseded(ctx, h)
	case errors.Is(err, tokenstore.ErrNotFound):
		return outcome{result: resultFailed, generation: generation, err: err}
	case err != nil:
		o.err = fmt.Errorf("%w; this could not be stored: %w", o.err, err)
	}
	return o
}
