package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// result says in a word what came of a refresh, in logs and traces.
type result string

const (
	resultRefreshed            result = "refreshed"
	resultAlreadyFresh         result = "already_fresh"
	resultNeedsReauthorisation result = "needs_reauthorisation"
	resultClientRejected       result = "client_rejected"
	resultNotStored            result = "not_stored"
	resultUnavailable          result = "unavailable"
	resultFailed               result = "failed" // nothing to do with Atlassian
)

// outcome of a refresh: a token, or err.
type outcome struct {
	result     result
	generation uint64 // of the stored credential that this is about; 0: not known

	token    secret.Secret
	lifetime time.Duration // of a token that is new

	err        error
	retryAfter time.Duration
	repeat     bool // try again unasked
	unstored   *unstored
}

// refresh runs detached from whoever asked for it.
func (m *Manager) refresh(ctx context.Context, h holder, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	ctx, span := m.tracer.Start(ctx, "oauth.refresh",
		trace.WithAttributes(attribute.String("jiragate.connection", h.connection)))
	o := outcome{result: resultFailed, err: fmt.Errorf("%w: the refresh broke down", ErrUnavailable)}
	defer func() {
		// Nothing above this goroutine keeps a panic from ending the program. Its
		// value is not logged: it might be anything.
		if p := recover(); p != nil {
			m.log.ErrorContext(ctx, "panic in an OAuth refresh", "connection", h.connection,
				"type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
		m.report(ctx, span, h.connection, o)
		m.land(h, f, o)
	}()
	o = m.attempt(ctx, h)
}

// attempt reads what is stored, exchanges it, and stores what comes back.
func (m *Manager) attempt(ctx context.Context, h holder) outcome {
	// Read again: another refresh may have ended since the caller looked.
	cred, err := m.lookup(ctx, h)
	if err != nil {
		return outcome{result: resultFailed, err: err}
	}
	fresh, left := m.known(h, cred)
	if fresh {
		return outcome{result: resultAlreadyFresh, generation: cred.Generation, token: cred.AccessToken}
	}
	if left != nil {
		o := m.commit(ctx, h, cred.Generation, left)
		if o.err != nil || usable(left.credential, m.now()) {
			return o
		}
		// Stored at last, but its access token has ended.
		cred = left.credential
		cred.Generation = o.generation
	}
	if cred.RefreshToken.IsZero() {
		return m.giveUp(ctx, h, cred.Generation, errNoRefreshToken)
	}

	g, retryAfter, err := m.exchange(ctx, h.connection, cred.RefreshToken)
	switch {
	case errors.Is(err, errDeadGrant):
		return m.giveUp(ctx, h, cred.Generation, err)
	case errors.Is(err, ErrClientRejected):
		return outcome{result: resultClientRejected, generation: cred.Generation, err: err, retryAfter: retryAfter}
	case err != nil:
		return outcome{result: resultUnavailable, generation: cred.Generation, err: err, retryAfter: retryAfter, repeat: true}
	}
	return m.commit(ctx, h, cred.Generation, &unstored{renewed(cred, g), g.lifetime})
}

// renewed is the credential after a refresh. A scope that can't be stored is no
// reason to lose the tokens that came with it.
func renewed(old tokenstore.Credential, g grant) tokenstore.Credential {
	c := tokenstore.Credential{
		Kind:         tokenstore.KindOAuth2,
		AccessToken:  g.accessToken,
		RefreshToken: g.refreshToken,
		Expiry:       g.expiry,
		Scopes:       old.Scopes,
	}
	if len(g.scopes) > 0 {
		with := c
		with.Scopes = slices.Clone(g.scopes)
		slices.Sort(with.Scopes)
		with.Scopes = slices.Compact(with.Scopes)
		if with.Validate() == nil {
			return with
		}
	}
	return c
}

// commit stores a new pair. Only then its access token is anyone's to use. A
// generation belongs to one incarnation, so that no other gets the pair.
func (m *Manager) commit(ctx context.Context, h holder, generation uint64, u *unstored) outcome {
	// Not bound to the time that Atlassian took: the old pair is worth nothing.
	ctx = context.WithoutCancel(ctx)
	err := m.store.ReplaceCredential(ctx, h.connection, generation, u.credential)
	switch {
	case err == nil:
		return outcome{result: resultRefreshed, generation: generation + 1, token: u.credential.AccessToken, lifetime: u.lifetime}
	case errors.Is(err, tokenstore.ErrConflict):
		return m.superseded(ctx, h)
	case errors.Is(err, tokenstore.ErrNotFound):
		return outcome{result: resultFailed, generation: generation, err: err}
	case errors.Is(err, tokenstore.ErrInvalid):
		return outcome{
			result: resultUnavailable, generation: generation, repeat: true,
			err: fmt.Errorf("%w: Atlassian's answer to the refresh can't be stored: %w", ErrUnavailable, err),
		}
	}
	return outcome{
		result: resultNotStored, generation: generation, repeat: true, unstored: u,
		err: fmt.Errorf("%w: the renewed token could not be stored: %w", ErrUnavailable, err),
	}
}

// superseded: the credential was replaced while it was refreshed, by a new
// consent for instance, and what is there now counts, if it is the holder's.
func (m *Manager) superseded(ctx context.Context, h holder) outcome {
	cred, err := m.lookup(ctx, h)
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
// that has arrived: only the credential of this generation is condemned.
func (m *Manager) giveUp(ctx context.Context, h holder, generation uint64, why error) outcome {
	ctx = context.WithoutCancel(ctx)
	if _, err := m.lookup(ctx, h); err != nil {
		return outcome{result: resultFailed, err: err}
	}
	o := outcome{
		result: resultNeedsReauthorisation, generation: generation,
		err: fmt.Errorf("%w: %w", ErrNeedsReauthorisation, why),
	}
	err := m.store.RequireReauthorisation(ctx, h.connection, generation, why.Error())
	switch {
	case errors.Is(err, tokenstore.ErrConflict):
		return m.superseded(ctx, h)
	case errors.Is(err, tokenstore.ErrNotFound):
		return outcome{result: resultFailed, generation: generation, err: err}
	case err != nil:
		o.err = fmt.Errorf("%w; this could not be stored: %w", o.err, err)
	}
	return o
}

// report writes the span and the log line of a refresh. Errors of this package
// hold nothing secret, but only the log gets their text.
func (m *Manager) report(ctx context.Context, span trace.Span, connection string, o outcome) {
	defer span.End()
	span.SetAttributes(attribute.String("jiragate.result", string(o.result)))
	attrs := []slog.Attr{slog.String("connection", connection), slog.String("result", string(o.result))}
	var level slog.Level
	switch o.result {
	case resultRefreshed:
		level = slog.LevelInfo
		attrs = append(attrs, slog.Uint64("generation", o.generation), slog.Duration("lifetime", o.lifetime))
	case resultAlreadyFresh:
		level = slog.LevelDebug
	case resultUnavailable, resultFailed:
		level = slog.LevelWarn
	default: // a person has to do something
		level = slog.LevelError
	}
	if o.err != nil {
		span.SetStatus(codes.Error, string(o.result))
		attrs = append(attrs, slog.String("error", o.err.Error()))
	}
	m.log.LogAttrs(ctx, level, "OAuth refresh", attrs...)
}
