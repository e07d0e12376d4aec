package tokenstore

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
)

// Directory is an immutable picture of all connections and clients as of one
// commit of the store. Lookups take constant time and allocate nothing. It is
// safe for concurrent use; what its methods return is shared and read-only.
type Directory struct {
	connections map[string]*Connection
	clients     map[string]*Client
	byToken     map[[sha256.Size]byte]*Client
	bySAN       map[string][]*Client

	sortedConnections []*Connection
	sortedClients     []*Client
}

// NewDirectory returns a directory of copies of the records given, whose
// grants it sorts. It does not validate them: they come from a store, or from a
// test. Of two records of one name the last counts; a token that two clients
// share identifies neither.
func NewDirectory(connections []Connection, clients []Client) *Directory {
	d := &Directory{
		connections: make(map[string]*Connection, len(connections)),
		clients:     make(map[string]*Client, len(clients)),
		byToken:     make(map[[sha256.Size]byte]*Client, len(clients)),
		bySAN:       make(map[string][]*Client, len(clients)),
	}
	for _, c := range connections {
		c.Scopes = slices.Clone(c.Scopes)
		d.connections[c.ID] = &c
	}
	for _, c := range clients {
		c.CertificateSANs = slices.Clone(c.CertificateSANs)
		c.Connections = sortedSet(c.Connections)
		d.clients[c.Name] = &c
	}
	for _, c := range d.connections {
		d.sortedConnections = append(d.sortedConnections, c)
	}
	slices.SortFunc(d.sortedConnections, func(a, b *Connection) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range d.clients {
		d.sortedClients = append(d.sortedClients, c)
	}
	slices.SortFunc(d.sortedClients, func(a, b *Client) int { return cmp.Compare(a.Name, b.Name) })

	d.indexClients()
	return d
}

// With returns a directory in which these connections and clients are in place of those
// of their names, and those that are nil are gone. It costs much less than a new one of
// all: what stays is shared. The records must not be changed any more.
func (d *Directory) With(connections map[string]*Connection, clients map[string]*Client) *Directory {
	next := *d
	if len(connections) > 0 {
		next.connections, next.sortedConnections = replaced(d.connections, d.sortedConnections, connections, func(c *Connection) string { return c.ID })
	}
	if len(clients) > 0 {
		for _, c := range clients {
			if c != nil {
				c.Connections = sortedSet(c.Connections)
			}
		}
		next.clients, next.sortedClients = replaced(d.clients, d.sortedClients, clients, func(c *Client) string { return c.Name })
		next.byToken = make(map[[sha256.Size]byte]*Client, len(next.clients))
		next.bySAN = make(map[string][]*Client, len(next.clients))
		next.indexClients()
	}
	return &next
}

// replaced returns copies of a map and of its sorted values with changes.
func replaced[T any](byName map[string]*T, sorted []*T, changes map[string]*T, name func(*T) string) (map[string]*T, []*T) {
	byName, sorted = maps.Clone(byName), slices.Clone(sorted)
	for id, record := range changes {
		i, found := slices.BinarySearchFunc(sorted, id, func(r *T, id string) int { return cmp.Compare(name(r), id) })
		switch {
		case record == nil && found:
			delete(byName, id)
			sorted = slices.Delete(sorted, i, i+1)
		case record != nil && found:
			byName[id], sorted[i] = record, record
		case record != nil:
			byName[id], sorted = record, slices.Insert(sorted, i, record)
		}
	}
	return byName, sorted
}

// indexClients fills byToken and bySAN.
func (d *Directory) indexClients() {
	shared := make(map[[sha256.Size]byte]bool)
	for _, c := range d.sortedClients {
		if _, twice := d.byToken[c.TokenSHA256]; twice {
			shared[c.TokenSHA256] = true
		}
		d.byToken[c.TokenSHA256] = c
		for _, san := range sortedSet(append([]string{"dns:" + c.Name}, c.CertificateSANs...)) {
			d.bySAN[san] = append(d.bySAN[san], c)
		}
	}
	for sum := range shared {
		delete(d.byToken, sum)
	}
	delete(d.byToken, [sha256.Size]byte{}) // stands for "no token"
}

// sortedSet returns a sorted copy of s without duplicates.
func sortedSet(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// Client returns the client of that name.
func (d *Directory) Client(name string) (*Client, bool) {
	c, ok := d.clients[name]
	return c, ok
}

// ClientByTokenSHA256 returns the client whose token has this digest.
func (d *Directory) ClientByTokenSHA256(sum [sha256.Size]byte) (*Client, bool) {
	c, ok := d.byToken[sum]
	return c, ok
}

// ClientsByCertificateSAN returns the clients that a certificate with this
// subject alternative name stands for, sorted by name. The name is "dns:" and a
// DNS name in lower case, or "uri:" and a URI, and is compared exactly. More than
// one client is an ambiguity to refuse.
func (d *Directory) ClientsByCertificateSAN(san string) []*Client {
	return d.bySAN[san]
}

// Connection returns the connection of that id.
func (d *Directory) Connection(id string) (*Connection, bool) {
	c, ok := d.connections[id]
	return c, ok
}

// Connections returns all connections, sorted by id.
func (d *Directory) Connections() []*Connection { return d.sortedConnections }

// Clients returns all clients, sorted by name.
func (d *Directory) Clients() []*Client { return d.sortedClients }
