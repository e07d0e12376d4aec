package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"jiragate/internal/shards"
	"jiragate/tokenstore"
)

// index finds connections by where they are. It is immutable, and the next one shares
// with it all that has not changed: were it made anew for each change, all calls would
// wait for that, and the more customers there are the longer. Its zero value is that of no
// connections.
type index struct {
	hosts  shards.Map[[]*tokenstore.Connection] // of sites and base URLs, without a port
	clouds shards.Map[[]*tokenstore.Connection] // by cloud id
}

// at are the connections at a host, whatever the port, sorted by id.
func (x *index) at(host string) []*tokenstore.Connection {
	found, _ := x.hosts.Get(host)
	return found
}

// site are the connections of a cloud id, sorted by id.
func (x *index) site(cloudID string) []*tokenstore.Connection {
	found, _ := x.clouds.Get(cloudID)
	return found
}

// of is the index of another directory than before, whose index this is.
func (x *index) of(dir, before *tokenstore.Directory) (next index, gone bool, _ error) {
	hosts, clouds := newShelf(&x.hosts, dir), newShelf(&x.clouds, dir)
	var unreadable []error
	dir.Changes(before, func(old, present *tokenstore.Connection) {
		if old != nil {
			gone = gone || present == nil || present.Incarnation != old.Incarnation
			if host, err := readHost(old); err == nil && host != "" {
				hosts.remove(host, old)
			}
			if old.CloudID != "" {
				clouds.remove(old.CloudID, old)
			}
		}
		if present != nil {
			host, err := readHost(present)
			if err != nil {
				unreadable = append(unreadable, fmt.Errorf("read the host of connection %s: %w", present.ID, err))
			}
			if host != "" {
				hosts.add(host, present)
			}
			if present.CloudID != "" {
				clouds.add(present.CloudID, present)
			}
		}
	})
	return index{hosts.draft.Map(), clouds.draft.Map()}, gone, errors.Join(unreadable...)
}

// readHost is where a connection is: "" as long as a consent is yet to tell which site it is.
func readHost(c *tokenstore.Connection) (string, error) {
	own := c.Host()
	if own == "" {
		return "", nil
	}
	a, err := parseAuthority(c.Authority(), "443")
	if err != nil {
		return "", err
	}
	if host := a.host(); host != own {
		return host, nil
	}
	return own, nil // part of the connection's URL, and nothing more to keep
}

// shelf is a part of the next index.
type shelf struct {
	draft *shards.Draft[[]*tokenstore.Connection]
	own   map[string]bool          // lists that the index before doesn't have
	room  []*tokenstore.Connection // for lists of one, where all are new
}

func newShelf(before *shards.Map[[]*tokenstore.Connection], dir *tokenstore.Directory) *shelf {
	s := &shelf{draft: before.Draft(before.Len()), own: make(map[string]bool)}
	if n := len(dir.Connections()); before.Len() == 0 {
		s.draft, s.room = before.Draft(n), make([]*tokenstore.Connection, 0, n)
	}
	return s
}

func (s *shelf) add(key string, c *tokenstore.Connection) {
	list, _ := s.draft.Get(key)
	switch {
	case len(list) > 0:
		i, _ := slices.BinarySearchFunc(list, c, byID)
		s.draft.Set(key, slices.Insert(s.mine(key, list), i, c))
	case len(s.room) < cap(s.room):
		n := len(s.room)
		s.room = append(s.room, c)
		s.draft.Set(key, s.room[n:n+1:n+1])
	default:
		s.draft.Set(key, []*tokenstore.Connection{c})
	}
}

func (s *shelf) remove(key string, c *tokenstore.Connection) {
	list, _ := s.draft.Get(key)
	i := slices.Index(list, c)
	switch {
	case i < 0:
	case len(list) == 1:
		s.draft.Delete(key)
	default:
		s.draft.Set(key, slices.Delete(s.mine(key, list), i, i+1))
	}
}

// mine is a list that may be changed.
func (s *shelf) mine(key string, list []*tokenstore.Connection) []*tokenstore.Connection {
	if s.own[key] {
		return list
	}
	s.own[key] = true
	return slices.Clone(list)
}

func byID(a, b *tokenstore.Connection) int { return cmp.Compare(a.ID, b.ID) }
