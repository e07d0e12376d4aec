package records

import (
	"jiragate/tokenstore"
)

// chunk is how many connections are kept in one piece of memory. As long as one of them is
// in use all are, so it isn't as many as there are.
const chunk = 256

// LoadDirectory reads all connections and clients.
func LoadDirectory(tx Reader) (*tokenstore.Directory, error) {
	var (
		read        recordReader
		record      connectionRecord
		room        []tokenstore.Connection
		connections []*tokenstore.Connection
	)
	err := tx.Each(Connections, "", func(k, v []byte) error {
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
	err = tx.Each(Clients, "", func(k, v []byte) error {
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
	d := tokenstore.DirectoryOf(connections, clients)
	return d, validateDirectory(d)
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
