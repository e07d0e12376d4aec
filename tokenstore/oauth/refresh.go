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
func (m *Manager) refresh(ctx context.Context, connection string, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	ctx, span := m.tracer.Start(ctx, "oauth.refresh",
		trace.WithAttributes(attribute.String("jiragate.connection", connection)))
	o := outcome{result: resultFailed, err: fmt.Errorf("%w: the refresh broke down", ErrUnavailable)}
	defer func() {
		// Nothing above this goroutine keeps a panic from ending the program. Its
		// value is not logged: it might be anything.
		if p := recover(); p != nil {
			m.log.ErrorContext(ctx, "panic in an OAuth refresh", "connection", connection,
				"type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
		m.report(ctx, span, connection, o)
		m.land(connection, f, o)
	}()
	o = m.attempt(ctx, connection)
}

// attempt reads what is stored, exchanges it, and stores what comes back.
func (m *Manager) attempt(ctx context.Context, connection string) outcome {
	// Read again: another refresh may have ended since the caller looked.
	cred, err := m.lookup(ctx, connection)
	if err != nil {
		return outcome{result: resultFailed, err: err}
	}
	fresh, left := m.known(connection, cred)
	if fresh {
		return outcome{result: resultAlreadyFresh, generation: cred.Generation, token: cred.AccessToken}
	}
	if left != nil {
		o := m.commit(ctx, connection, cred.Generation, left)
		if o.err != nil || usable(left.credential, m.now()) {
			return o
		}
		// Stored at last, but its access token has ended.
		cred = left.credential
		cred.Generation = o.generation
	}
	if cred.RefreshToken.IsZero() {
		return m.giveUp(ctx, connection, cred, errNoRefreshToken)
	}

	g, retryAfter, err := m.exchange(ctx, connection, cred.RefreshToken)
	switch {
	case errors.Is(err, errDeadGrant):
		return m.giveUp(ctx, connection, cred, err)
	case errors.Is(err, ErrClientRejected):
		return outcome{result: resultClientRejected, generation: cred.Generation, err: err, retryAfter: retryAfter}
	case err != nil:
		return outcome{result: resultUnavailable, generation: cred.Generation, err: err, retryAfter: retryAfter, repeat: true}
	}
	return m.commit(ctx, connection, cred.Generation, &unstored{renewed(cred, g), g.lifetime})
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

// commit stores a new pair. Only then its access token is anyone's to use.
func (m *Manager) commit(ctx context.Context, connection string, generation uint64, u *unstored) outcome {
	// Not bound to the time that Atlassian took: the old pair is worth nothing.
	ctx = context.WithoutCancel(ctx)
	err := m.store.ReplaceCredential(ctx, connection, generation, u.credential)
	switch {
	case err == nil:
		return outcome{result: resultRefreshed, generation: generation + 1, token: u.credential.AccessToken, lifetime: u.lifetime}
	case errors.Is(err, tokenstore.ErrConflict):
		return m.superseded(ctx, connection)
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
// consent for instance, and what is there now counts.
func (m *Manager) superseded(ctx context.Context, connection string) outcome {
	cred, err := m.lookup(ctx, connection)
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

// giveUp makes a connection whose grant is gone wait for a new consent.
func (m *Manager) giveUp(ctx context.Context, connection string, cred tokenstore.Credential, why error) outcome {
	ctx = context.WithoutCancel(ctx)
	now, err := m.lookup(ctx, connection)
	switch {
	case err != nil:
		return outcome{result: resultFailed, err: err}
	case now.Generation != cred.Generation:
		// What Atlassian refused is not what is stored any more.
		return m.superseded(ctx, connection)
	}
	o := outcome{
		result: resultNeedsReauthorisation, generation: cred.Generation,
		err: fmt.Errorf("%w: %w", ErrNeedsReauthorisation, why),
	}
	if err := m.store.SetState(ctx, connection, tokenstore.StateNeedsReauthorisation, why.Error()); err != nil {
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
