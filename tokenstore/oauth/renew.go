package oauth

import (
	"context"
	"fmt"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// Renew is for a token that Jira refused with 401: it returns another one. That is
// the one which has replaced it, or else comes from a refresh, for all who ask at
// the same time, and although by its expiry the token would do.
//
// A token that was issued a few minutes ago is not renewed: that Jira refuses it
// has another cause, such as a missing scope, and who refreshes on every 401 never
// ends. That is [ErrStillRefused]; so it is for a token that can't be renewed for
// want of a refresh token. The other errors are those of [Manager.AccessToken].
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
		if cred.RefreshToken.IsZero() || m.young(h, &cred, now) {
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
			return token, nil
		}
	}
	return secret.Secret{}, fmt.Errorf("%w: the refreshes under way did not renew it", ErrUnavailable)
}

// young reports whether a credential was issued a moment ago. Where this process
// hasn't seen it, what is stored tells; a time that is yet to come tells nothing.
func (m *Manager) young(h holder, cred *tokenstore.Credential, now time.Time) bool {
	m.mu.Lock()
	at := m.renewalOf(h).with(cred.Generation).refreshedAt
	m.mu.Unlock()
	if at.IsZero() {
		var ok bool
		if at, ok = issuedAt(cred); !ok {
			return false
		}
	}
	age := now.Sub(at)
	return age >= 0 && age < youth
}
