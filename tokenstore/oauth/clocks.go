package oauth

import (
	"time"

	"jiragate/tokenstore"
)

const (
	// cloudLeeway is how long Atlassian accepts a refresh token that it has replaced,
	// and cloudGrantLife how long a grant lasts although it is used
	// (https://community.developer.atlassian.com/t/54172). Whether the latter is still
	// enforced isn't known: it is announced, and nothing else depends on it.
	cloudLeeway    = 10 * time.Minute
	cloudGrantLife = 365 * 24 * time.Hour

	// idleLife is how long a refresh token lives that isn't used: Atlassian's (same
	// source), and Data Center's by default, where administrators may set
	// atlassian.oauth2.provider.refresh.token.expiration.seconds otherwise
	// (https://confluence.atlassian.com/adminjiraserver0916/oauth-2-0-provider-system-properties-1402672002.html).
	idleLife = 90 * 24 * time.Hour

	// keepAliveAfter is how long a refresh token may go unused before it is used for
	// its own sake: a third of its life.
	keepAliveAfter = idleLife / 3
)

const (
	// earlyRenewal is how long before its end a token is renewed, and renewalSpread
	// what is added at random for each connection, so that connections set up
	// together don't renew together. Short-lived tokens are renewed when a fifth
	// of their life is left.
	earlyRenewal  = 5 * time.Minute
	renewalSpread = time.Minute
	shortLived    = 5

	// forcedPause is how long after a token was renewed because Jira refused it no
	// other is: a new one would fare no better.
	forcedPause = 10 * time.Minute
)

// life is how long a grant lasts: idle without a refresh, and absolute since the
// consent whatever is done. 0 means for ever.
type life struct{ idle, absolute time.Duration }

// begin sets the clocks of a credential that comes from a consent at now.
func (l life) begin(c *tokenstore.Credential, now time.Time) {
	c.ConsentedAt, c.EndsAt = now.UTC(), time.Time{}
	if l.absolute > 0 {
		c.EndsAt = c.ConsentedAt.Add(l.absolute)
	}
	l.prolong(c, now)
}

// prolong sets the clock that each refresh sets anew.
func (l life) prolong(c *tokenstore.Credential, now time.Time) {
	if l.idle > 0 {
		c.LapsesAt = now.UTC().Add(l.idle)
	}
}

// issuedAt is when the credential was issued, by consent or refresh, as far as
// that is known from what is stored.
func issuedAt(c *tokenstore.Credential) (at time.Time, ok bool) {
	return c.LapsesAt.Add(-idleLife), !c.LapsesAt.IsZero()
}

// margin is how long before its end a token with this lifetime is renewed.
func margin(lifetime, spread time.Duration) time.Duration {
	return min(earlyRenewal+spread, lifetime/shortLived)
}

// due reports whether the token of a credential should be renewed.
func (r *renewal) due(c tokenstore.Credential, now time.Time) bool {
	return c.AccessToken.IsZero() || r.ends(c.Generation, c.Expiry, now)
}

// ends reports whether the access token of a generation is about to end. Beside
// the clock on the wall, which may be set while the program runs, it goes by the
// one that can't be: see experience.renewAt.
func (r *renewal) ends(generation uint64, expiry, now time.Time) bool {
	last := r.with(generation)
	early := last.margin
	if early == 0 {
		early = earlyRenewal + r.spread
	}
	switch left := expiry.Sub(now); {
	case expiry.IsZero(), left <= early:
		return true
	case left > maxLifetime+time.Minute:
		// No token is believed to live so long: the clock was ahead when it came.
		return true
	}
	return !last.renewAt.IsZero() && !now.Before(last.renewAt)
}
