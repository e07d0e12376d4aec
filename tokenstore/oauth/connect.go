package oauth

import (
	"context"
	"errors"
	"fmt"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// connectAttempts is how often a consent is stored against refreshes of the grant
// before it, each of which takes longer than an attempt.
const connectAttempts = 10

// Connect stores a grant as the credential of its connection, in place of any
// other that there is: the new consent wins over a refresh that runs, while calls
// go on with the tokens they have. For Cloud, site is the one that the connection
// leads to from then on, where that wasn't known yet.
//
// The errors are [ErrReplaced] and tokenstore.ErrNotFound, if the connection that
// was consented for is no more, [SiteError], [ErrNotServed], [ErrUnavailable] and
// what the store says.
func (m *Manager) Connect(ctx context.Context, g *Granted, site Site) error {
	if err := m.connect(ctx, g, site); err != nil {
		return failed(g.Connection, err)
	}
	return nil
}

func (m *Manager) connect(ctx context.Context, g *Granted, site Site) error {
	c, _, err := m.asked(ctx, g.Connection, g.Incarnation)
	if err != nil {
		return err
	}
	if g.edition == policy.Cloud {
		if c, err = m.locate(ctx, c, site); err != nil {
			return err
		}
	}
	for range connectAttempts {
		_, old, err := m.asked(ctx, c.ID, c.Incarnation)
		if err != nil {
			return err
		}
		if clientOf(m, c, &old) != g.client {
			return ErrReplaced // the grant is another client's
		}
		err = m.store.ReplaceCredential(ctx, c.ID, old.Generation, adopted(g.Credential, &old))
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, tokenstore.ErrConflict):
			return err
		}
	}
	return fmt.Errorf("%w: the credential was replaced over and over", ErrUnavailable)
}

// adopted is the granted credential with the secrets of the client that it belongs
// to, which may have been renewed since the consent began.
func adopted(c tokenstore.Credential, old *tokenstore.Credential) tokenstore.Credential {
	if !c.ClientSecret.IsZero() {
		c.ClientSecret = old.ClientSecret
	}
	if !c.PrivateKey.IsZero() {
		c.PrivateKey = old.PrivateKey
	}
	return c
}

// locate sees to it that a connection of Cloud leads to site, and returns it as it
// is then.
func (m *Manager) locate(ctx context.Context, c *tokenstore.Connection, site Site) (*tokenstore.Connection, error) {
	if !leadsTo(c, site) {
		wanted := c.SiteURL
		if wanted == "" {
			wanted = c.CloudID
		}
		return nil, &SiteError{Wanted: wanted, Found: []Site{site}}
	}
	if c.Located() {
		return c, nil
	}
	err := m.store.UpdateConnection(ctx, c.ID, func(now *tokenstore.Connection) error {
		if now.Incarnation != c.Incarnation {
			return ErrReplaced
		}
		if now.CloudID == "" {
			now.CloudID = site.ID
		}
		if now.SiteURL == "" {
			now.SiteURL = site.URL
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// It is a new incarnation now. One that was added since has another birthday.
	now, ok := m.store.Directory().Connection(c.ID)
	if !ok || !now.CreatedAt.Equal(c.CreatedAt) || now.CloudID != site.ID {
		return nil, ErrReplaced
	}
	return now, nil
}

// leadsTo reports whether nothing that is known of c contradicts site.
func leadsTo(c *tokenstore.Connection, site Site) bool {
	if c.CloudID != "" {
		return c.CloudID == site.ID
	}
	return c.SiteURL == "" || normalURL(c.SiteURL) == site.URL
}
