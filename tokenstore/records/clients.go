package records

import (
	"context"
	"fmt"
	"slices"
	"time"

	"jiragate/tokenstore"
)

// AddClient stores a new client.
func (s *Store) AddClient(ctx context.Context, c tokenstore.Client) error {
	if err := newClient(&c); err != nil {
		return err
	}
	return s.update(ctx, "adding client "+c.Name, func(t *Change) error { return t.addClient(&c) })
}

// newClient puts the connections of a new client in order, and says whether it may be
// added.
func newClient(c *tokenstore.Client) error {
	c.Connections = slices.Compact(slices.Sorted(slices.Values(c.Connections)))
	if err := c.Validate(); err != nil {
		return fmt.Errorf("adding a client: %w", err)
	}
	return nil
}

func (t *Change) addClient(c *tokenstore.Client) error {
	if there, err := t.Has(Clients, c.Name); err != nil {
		return err
	} else if there {
		return exists("client", c.Name)
	}
	if err := t.Prefetch(Connections, c.Connections); err != nil {
		return err
	}
	for _, id := range c.Connections {
		if err := t.mustHave(id); err != nil {
			return err
		}
	}
	c.CreatedAt, c.TokenRotatedAt = t.now, time.Time{}
	if c.TokenSHA256 != noToken {
		c.TokenRotatedAt = t.now
	}
	if err := t.takeToken(c.TokenSHA256, c.Name); err != nil {
		return err
	}
	return t.putClient(c)
}

// RemoveClient removes a client with its grants.
func (s *Store) RemoveClient(ctx context.Context, name string) error {
	return s.update(ctx, "removing client "+name, func(t *Change) error {
		c, err := t.client(name)
		if err != nil {
			return err
		}
		t.directory = true
		t.clients = append(t.clients, name)
		if err := t.dropToken(c.TokenSHA256); err != nil {
			return err
		}
		return t.Delete(Clients, name)
	})
}

// SetClientToken replaces the token of a client.
func (s *Store) SetClientToken(ctx context.Context, name string, sum [32]byte) error {
	return s.update(ctx, "setting the token of client "+name, func(t *Change) error {
		c, err := t.client(name)
		if err != nil {
			return err
		}
		if c.TokenSHA256 == sum {
			return ErrUnchanged
		}
		if err := t.dropToken(c.TokenSHA256); err != nil {
			return err
		}
		if err := t.takeToken(sum, name); err != nil {
			return err
		}
		c.TokenSHA256, c.TokenRotatedAt = sum, t.now
		if err := c.Validate(); err != nil {
			return err
		}
		return t.putClient(&c)
	})
}

// Grant lets a client use a connection.
func (s *Store) Grant(ctx context.Context, client, connection string) error {
	return s.update(ctx, fmt.Sprintf("granting client %s connection %s", client, connection), func(t *Change) error {
		c, err := t.client(client)
		if err != nil {
			return err
		}
		if err := t.mustHave(connection); err != nil {
			return err
		}
		i, granted := slices.BinarySearch(c.Connections, connection)
		if granted {
			return ErrUnchanged
		}
		c.Connections = slices.Insert(c.Connections, i, connection)
		if err := c.Validate(); err != nil {
			return err
		}
		return t.putClient(&c)
	})
}

// Revoke ends a grant.
func (s *Store) Revoke(ctx context.Context, client, connection string) error {
	return s.update(ctx, fmt.Sprintf("revoking connection %s from client %s", connection, client), func(t *Change) error {
		c, err := t.client(client)
		if err != nil {
			return err
		}
		i, granted := slices.BinarySearch(c.Connections, connection)
		if !granted {
			return notFound("grant of connection", connection)
		}
		c.Connections = slices.Delete(c.Connections, i, i+1)
		return t.putClient(&c)
	})
}

// revokeAll ends all grants of a connection.
func (t *Change) revokeAll(connection string) error {
	var changed []tokenstore.Client // a bucket must not change while it is walked
	err := t.Each(Clients, "", func(k, v []byte) error {
		c, err := decodeClient(k, v)
		if err != nil {
			return err
		}
		if i, granted := slices.BinarySearch(c.Connections, connection); granted {
			c.Connections = slices.Delete(c.Connections, i, i+1)
			changed = append(changed, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range changed {
		if err := t.putClient(&c); err != nil {
			return err
		}
	}
	return nil
}

func (t *Change) client(name string) (tokenstore.Client, error) {
	v, err := t.Get(Clients, name)
	if err != nil {
		return tokenstore.Client{}, err
	}
	if v == nil {
		return tokenstore.Client{}, notFound("client", name)
	}
	return decodeClient([]byte(name), v)
}

func (t *Change) putClient(c *tokenstore.Client) error {
	t.directory = true
	t.clients = append(t.clients, c.Name)
	return t.put(Clients, c.Name, newClientRecord(c))
}

// takeToken makes the token of that digest the client's.
func (t *Change) takeToken(sum [32]byte, client string) error {
	if sum == noToken {
		return nil
	}
	if taken, err := t.Has(ClientTokens, string(sum[:])); err != nil {
		return err
	} else if taken {
		// Not saying whose it is: the caller knows that client's token now.
		return fmt.Errorf("%w: a client with this token: make a new one", tokenstore.ErrExists)
	}
	return t.Put(ClientTokens, string(sum[:]), []byte(client))
}

func (t *Change) dropToken(sum [32]byte) error {
	if sum == noToken {
		return nil
	}
	return t.Delete(ClientTokens, string(sum[:]))
}
