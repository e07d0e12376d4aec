package tokenstore

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"jiragate/internal/shards"
)

// Directory is an immutable picture of all connections and clients as of one
// commit of the store. Lookups take constant time and allocate nothing. It is
// safe for concurrent use; what its methods return is shared and read-only.
type Directory struct {
	connections shards.Map[*Connection] // by id
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
	ownConnections, ownClients := make([]*Connection, len(connections)), make([]*Client, len(clients))
	for i, c := range connections {
		c.Scopes = slices.Clone(c.Scopes)
		ownConnections[i] = &c
	}
	for i, c := range clients {
		c.CertificateSANs = slices.Clone(c.CertificateSANs)
		c.Connections = slices.Clone(c.Connections)
		ownClients[i] = &c
	}
	return DirectoryOf(ownConnections, ownClients)
}

// DirectoryOf is NewDirectory without the copies. The records and their lists must not
// be changed any more.
func DirectoryOf(connections []*Connection, clients []*Client) *Directory {
	d := &Directory{
		clients: make(map[string]*Client, len(clients)),
		byToken: make(map[[sha256.Size]byte]*Client, len(clients)),
		bySAN:   make(map[string][]*Client, len(clients)),
	}
	d.sortedConnections = sortedByName(connections, func(c *Connection) string { return c.ID })
	index := d.connections.Draft(len(d.sortedConnections))
	for _, c := range d.sortedConnections {
		index.Set(c.ID, c)
	}
	d.connections = index.Map()
	d.sortedClients = sortedByName(clients, func(c *Client) string { return c.Name })
	for _, c := range d.sortedClients {
		c.Connections = sortedSet(c.Connections)
		d.clients[c.Name] = c
	}
	d.indexClients()
	return d
}

// sortedByName sorts records, of which those with one name become the last of them.
func sortedByName[T any](records []*T, name func(*T) string) []*T {
	if byName := func(a, b *T) int { return cmp.Compare(name(a), name(b)) }; !slices.IsSortedFunc(records, byName) {
		slices.SortStableFunc(records, byName)
	}
	last := records[:0]
	for i, r := range records {
		if i+1 == len(records) || name(records[i+1]) != name(r) {
			last = append(last, r)
		}
	}
	return last
}

// With returns a directory in which these connections and clients are in place of those
// of their names, and those that are nil are gone. It costs much less than a new one of
// all: what stays is shared. The records must not be changed any more.
func (d *Directory) With(connections map[string]*Connection, clients map[string]*Client) *Directory {
	next := *d
	if len(connections) > 0 {
		next.sortedConnections = replaced(d.sortedConnections, connections, func(c *Connection) string { return c.ID })
		index := d.connections.Draft(len(next.sortedConnections))
		for id, c := range connections {
			if c == nil {
				index.Delete(id)
			} else {
				index.Set(id, c)
			}
		}
		next.connections = index.Map()
	}
	if len(clients) > 0 {
		for _, c := range clients {
			if c != nil {
				c.Connections = sortedSet(c.Connections)
			}
		}
		next.sortedClients = replaced(d.sortedClients, clients, func(c *Client) string { return c.Name })
		next.clients = make(map[string]*Client, len(next.sortedClients))
		for _, c := range next.sortedClients {
			next.clients[c.Name] = c
		}
		next.byToken = make(map[[sha256.Size]byte]*Client, len(next.sortedClients))
		next.bySAN = make(map[string][]*Client, len(next.sortedClients))
		next.indexClients()
	}
	return &next
}

// replaced returns a copy of sorted records with changes.
func replaced[T any](sorted []*T, changes map[string]*T, name func(*T) string) []*T {
	sorted = slices.Clone(sorted)
	for id, record := range changes {
		i, found := slices.BinarySearchFunc(sorted, id, func(r *T, id string) int { return cmp.Compare(name(r), id) })
		switch {
		case record == nil && found:
			sorted = slices.Delete(sorted, i, i+1)
		case record != nil && found:
			sorted[i] = record
		case record != nil:
			sorted = slices.Insert(sorted, i, record)
		}
	}
	return sorted
}

// Changes calls yield for each connection that has another record than in the directory
// before, or nil where it wasn't there, or isn't any more. It is cheap where one has been
// made [Directory.With] the changes of the other: they share the other records.
func (d *Directory) Changes(before *Directory, yield func(old, present *Connection)) {
	was, is := before.sortedConnections, d.sortedConnections
	if len(was) == len(is) && (len(is) == 0 || &was[0] == &is[0]) {
		return // one list: only clients have changed
	}
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(was) > 0 && len(is) > 0 && was[0] == is[0]:
			was, is = was[1:], is[1:]
		case len(is) == 0 || len(was) > 0 && was[0].ID < is[0].ID:
			yield(was[0], nil)
			was = was[1:]
		case len(was) == 0 || is[0].ID < was[0].ID:
			yield(nil, is[0])
			is = is[1:]
		default:
			yield(was[0], is[0])
			was, is = was[1:], is[1:]
		}
	}
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

// sortedSet returns s if it is sorted and without duplicates, and otherwise a copy that is.
func sortedSet(s []string) []string {
	increases := true
	for i := 1; i < len(s) && increases; i++ {
		increases = s[i-1] < s[i]
	}
	if increases {
		return s
	}
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
	return d.connections.Get(id)
}

// Connections returns all connections, sorted by id.
func (d *Directory) Connections() []*Connection { return d.sortedConnections }

// Clients returns all clients, sorted by name.
func (d *Directory) Clients() []*Client { return d.sortedClients }
