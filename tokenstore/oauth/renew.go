package oauth

import (
	"context"
	"fmt"
	"time"

	"jiragate/tokenstore/secret"
)

// Renew is for a token that Jira refused with 401: it returns another one. That is
// the one which has replaced it, or else comes from a refresh, for all who ask at
// the same time, and although by its expiry the token would do.
//
// One refresh of this kind is made in ten minutes at most: if Jira refuses the token
// that came of it, too, there is another cause, such as a missing scope, and who
// refreshes on every 401 never ends. That is [ErrStillRefused]; so it is for a token
// that can't be renewed for want of a refresh token. The other errors are those of
// [Manager.AccessToken].
func (m *Manager) Renew(ctx context.Context, connection string, incarnation uint64, refused secret.Secret) (secret.Secret, error) {
	token, err := m.renew(ctx, holder{connection, incarnation}, refused)
	if err != nil {
		return secret.Secret{}, failed(connection, err)
	}
	return token, nil
}

func (m *Manager) renew(ctx context.Context, h holder, refused secret.Secret) (secret.Secret, error) {
	// Twice, because the refresh to wait for may be one that found the token good
	// enough.
	for range 2 {
		c, cred, err := m.lookup(ctx, h)
		if err != nil {
			return secret.Secret{}, err
		}
		if !cred.AccessToken.Equal(refused) {
			return m.accessToken(ctx, h)
		}
		now := m.now()
		if cred.RefreshToken.IsZero() || m.forcedLately(h, cred.Generation, now) {
			return secret.Secret{}, ErrStillRefused
		}
		f, err := m.join(ctx, h, c, cred, now, demand{call: true, force: cred.Generation})
		if err != nil {
			return secret.Secret{}, err
		}
		if f == nil { // only if there is no refresh token
			return secret.Secret{}, ErrStillRefused
		}
		token, err := m.await(ctx, h, f, refused)
		if err != nil {
			return secret.Secret{}, err
		}
		if !token.Equal(refused) {
			m.forced(h, cred.Generation, now)
			return token, nil
		}
	}
	return secret.Secret{}, fmt.Errorf("%w: the refreshes under way did not renew it", ErrUnavailable)
}

// forcedLately reports whether a token came, a moment ago, in place of one that
// Jira had refused, or after that.
func (m *Manager) forcedLately(h holder, generation uint64, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.renewalOf(h).forced
	return generation > last.generation && !last.at.IsZero() && now.Sub(last.at) < forcedPause
}

// forced notes that this generation was renewed because Jira had refused it.
func (m *Manager) forced(h holder, generation uint64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewalOf(h)
	r.forced.generation, r.forced.at = generation, now
}
