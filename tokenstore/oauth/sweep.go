package oauth

import (
	"context"
	"hash/fnv"
	"time"

	"jiragate/tokenstore"
)

const (
	day = 24 * time.Hour
	// urgentBefore is how long before a refresh token lapses the hour of the day
	// doesn't matter any more.
	urgentBefore = 7 * day
)

// sweep looks at every grant: it announces those that end, and lines up the
// refresh tokens that must be used in order not to lapse.
func (k *keeper) sweep(ctx context.Context) {
	// Round strips what isn't on the wall's clock: a machine that slept has missed
	// those hours, too.
	now := k.m.now().Round(0)
	since := k.sweptAt
	k.sweptAt = now
	lined := make(map[holder]bool, len(k.idle)) // up already, and not begun yet
	for _, t := range k.idle {
		lined[t.holder] = true
	}
	unread := 0
	var why error
	for _, c := range k.m.store.Directory().Connections() {
		if ctx.Err() != nil {
			return
		}
		if !k.m.kept(c) || c.CredentialKind != tokenstore.KindOAuth2 && c.CredentialKind != tokenstore.KindOAuth1 {
			continue
		}
		h := holder{c.ID, c.Incarnation}
		cred, err := k.m.read(ctx, h)
		if err != nil {
			unread, why = unread+1, err
			continue
		}
		k.m.announce(ctx, c, &cred, now)
		if !lined[h] && lapses(c, &cred, now) && (isUrgent(&cred, now) || strikes(c.ID, since, now)) {
			k.idle = append(k.idle, task{h, cred.Generation})
		}
	}
	if unread > 0 && ctx.Err() == nil {
		k.m.log.WarnContext(ctx, "credentials could not be read to see whether their grants end", "connections", unread, "error", why.Error(),
			"hint", "jiragate store check names what can't be read; a keyset that was dropped too early is the usual cause")
	}
}

// announce tells of a grant that ends soon, once.
func (m *Manager) announce(ctx context.Context, c *tokenstore.Connection, cred *tokenstore.Credential, now time.Time) {
	reason := cred.Ending(now)
	if reason == "" || c.State == tokenstore.StateExpiring && c.StateReason == reason {
		return
	}
	if err := m.store.AnnounceEnd(ctx, c.ID, cred.Generation, reason); err != nil {
		m.log.WarnContext(ctx, "the end of a grant could not be announced", "connection", c.ID, "error", err.Error(),
			"hint", "look at the store: the disk of JIRAGATE_DATA_DIR, or etcd's members; it is tried again")
		return
	}
	m.log.WarnContext(ctx, "a grant ends", "connection", c.ID, "reason", reason,
		"hint", "ask the customer's administrator to consent anew before that: jiragate connection consent")
}

// lapses reports whether a refresh token should be used for its own sake.
func lapses(c *tokenstore.Connection, cred *tokenstore.Credential, now time.Time) bool {
	if cred.RefreshToken.IsZero() {
		return false
	}
	issued, ok := issuedAt(cred)
	if !ok {
		// Imported, and not refreshed since: nobody knows how long it was idle before.
		// Whoever uses the connection refreshes it sooner.
		return now.Sub(c.CreatedAt) > day
	}
	return now.Sub(issued) > keepAliveAfter
}

func isUrgent(cred *tokenstore.Credential, now time.Time) bool {
	return !cred.LapsesAt.IsZero() && cred.LapsesAt.Sub(now) < urgentBefore
}

// strikes reports whether a connection's own time of the day lies between two
// sweeps, so that each has one a day and not all have the same. The first sweep,
// and one after the clock was put back, has the hour before it.
func strikes(id string, since, now time.Time) bool {
	elapsed := now.Sub(since)
	if since.IsZero() || elapsed <= 0 {
		elapsed = time.Hour
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // never fails
	own := time.Duration(hash.Sum32()%(24*3600)) * time.Second
	ofDay := now.Sub(now.Truncate(day))
	return (ofDay-own+day)%day < elapsed
}
