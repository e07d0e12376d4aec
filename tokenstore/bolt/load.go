package bolt

import (
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
)

// chunk is how many connections are kept in one piece of memory. As long as one of them is
// in use all are, so it isn't as many as there are.
const chunk = 256

// loadDirectory reads all connections and clients.
func loadDirectory(tx *bbolt.Tx) (*tokenstore.Directory, error) {
	var (
		read        recordReader
		record      connectionRecord
		room        []tokenstore.Connection
		connections []*tokenstore.Connection
	)
	err := tx.Bucket(bucketConnections).ForEach(func(k, v []byte) error {
		if err := read.connection(&record, k, v); err != nil {
			return err
		}
		if len(room) == cap(room) {
			room = make([]tokenstore.Connection, 0, chunk)
		}
		room = append(room, record.connection())
		connections = append(connections, &room[len(room)-1])
		return nil
	})
	if err != nil {
		return nil, err
	}
	var clients []*tokenstore.Client
	err = tx.Bucket(bucketClients).ForEach(func(k, v []byte) error {
		c, err := read.client(k, v)
		if err != nil {
			return err
		}
		clients = append(clients, &c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tokenstore.DirectoryOf(connections, clients), nil
}

// changed is a directory with what the transaction has changed. Only that is read, and not
// all there is.
func (t *change) changed(d *tokenstore.Directory) (*tokenstore.Directory, error) {
	connections := make(map[string]*tokenstore.Connection)
	for _, id := range t.touched {
		connections[id] = nil
		if v := t.Bucket(bucketConnections).Get([]byte(id)); v != nil {
			r, err := decodeConnection([]byte(id), v)
			if err != nil {
				return nil, err
			}
			c := r.connection()
			connections[id] = &c
		}
	}
	clients := make(map[string]*tokenstore.Client)
	for _, name := range t.clients {
		clients[name] = nil
		if v := t.Bucket(bucketClients).Get([]byte(name)); v != nil {
			c, err := decodeClient([]byte(name), v)
			if err != nil {
				return nil, err
			}
			clients[name] = &c
		}
	}
	return d.With(connections, clients), nil
}

// validateDirectory reports records that this program would not have written.
func validateDirectory(d *tokenstore.Directory) error {
	for _, c := range d.Connections() {
		if err := c.Validate(); err != nil {
			return corruptf("%w", err)
		}
	}
	for _, c := range d.Clients() {
		if err := c.Validate(); err != nil {
			return corruptf("%w", err)
		}
		for _, id := range c.Connections {
			if _, ok := d.Connection(id); !ok {
				return corruptf("client %s is granted connection %s, which there is not", c.Name, id)
			}
		}
	}
	return nil
}
