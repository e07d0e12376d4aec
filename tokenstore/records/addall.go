package records

import (
	"context"

	"jiragate/tokenstore"
)

// Entry is a connection with its credential.
type Entry struct {
	Connection tokenstore.Connection
	Credential tokenstore.Credential
}

// AddAll stores new connections with their credentials, and then new clients: all of
// them or none, in one transaction. It is for filling a store with very many, where the
// engine takes as large a change: each [Store.AddConnection] costs by how many there are
// already.
func (s *Store) AddAll(ctx context.Context, connections []Entry, clients []tokenstore.Client) error {
	for i := range connections {
		if err := newConnection(&connections[i].Connection, &connections[i].Credential); err != nil {
			return err
		}
	}
	for i := range clients {
		if err := newClient(&clients[i]); err != nil {
			return err
		}
	}
	return s.update(ctx, "adding connections and clients", func(t *Change) error {
		for i := range connections {
			if err := t.addConnection(&connections[i].Connection, &connections[i].Credential); err != nil {
				return err
			}
		}
		for i := range clients {
			if err := t.addClient(&clients[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
