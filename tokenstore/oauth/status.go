package oauth

import (
	"context"
	"time"

	"jiragate/tokenstore"
)

// GrantStatus is what there is to know of a connection's grant. Times that aren't
// known, or will not come, are zero.
type GrantStatus struct {
	// Consented: the connection has a credential that calls are authorised by.
	Consented   bool
	ConsentedAt time.Time
	// AccessExpiresAt is the end of the access token; LapsesAt that of the refresh
	// token, if it isn't used; EndsAt that of the grant, whatever is done.
	AccessExpiresAt, LapsesAt, EndsAt time.Time
	// Rotation is "refreshing" while a refresh token is being exchanged, and
	// "ambiguous" if it may have been, but the answer was lost: it is tried again.
	Rotation string
	// RotationSince is when the token was sent for the first time.
	RotationSince time.Time
	// NextRefreshAt is when the next refresh is due, if the connection is used
	// until then; after a failure, when it is tried again.
	NextRefreshAt time.Time
}

// The values of [GrantStatus.Rotation] beside "".
const (
	RotationRefreshing = "refreshing"
	RotationAmbiguous  = "ambiguous"
)

// Status returns the state of a connection's grant. It changes nothing. The
// errors are tokenstore.ErrNotFound, [ErrReplaced] and what the store says.
func (m *Manager) Status(ctx context.Context, connection string) (GrantStatus, error) {
	s, err := m.status(ctx, connection)
	if err != nil {
		return GrantStatus{}, failed(connection, err)
	}
	return s, nil
}

func (m *Manager) status(ctx context.Context, id string) (GrantStatus, error) {
	c, ok := m.store.Directory().Connection(id)
	if !ok {
		return GrantStatus{}, tokenstore.ErrNotFound
	}
	h := holder{id, c.Incarnation}
	cred, err := m.read(ctx, h)
	if err != nil {
		return GrantStatus{}, err
	}
	standing, err := m.store.Rotations(ctx)
	if err != nil {
		return GrantStatus{}, err
	}
	s := GrantStatus{
		Consented: cred.Consented(), ConsentedAt: cred.ConsentedAt,
		AccessExpiresAt: cred.Expiry, LapsesAt: cred.LapsesAt, EndsAt: cred.EndsAt,
	}
	for _, n := range standing {
		if n.Connection == id && n.Generation == cred.Generation {
			s.Rotation, s.RotationSince = RotationAmbiguous, n.Since
		}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	last := r.with(cred.Generation)
	if s.Rotation != "" && r.running != nil && last.failures == 0 {
		s.Rotation = RotationRefreshing
	}
	switch {
	case cred.RefreshToken.IsZero() || !c.State.Callable():
	case last.failures > 0:
		s.NextRefreshAt = last.waitUntil.UTC()
	case last.margin != 0:
		s.NextRefreshAt = cred.Expiry.Add(-last.margin)
	case !cred.Expiry.IsZero():
		s.NextRefreshAt = cred.Expiry.Add(-earlyRenewal - r.spread)
	}
	return s, nil
}
