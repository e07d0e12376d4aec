package certs

import "container/list"

// cache keeps what was issued for the most recently used hosts. It is not safe
// for concurrent use.
type cache struct {
	size   int
	byHost map[string]*list.Element
	recent *list.List // of *issued, the latest used in front
}

func newCache(size int) *cache {
	return &cache{size: size, byHost: make(map[string]*list.Element), recent: list.New()}
}

// get returns nil for a host that is not there.
func (c *cache) get(host string) *issued {
	e := c.byHost[host]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*issued)
}

// put takes the place of what the host had.
func (c *cache) put(is *issued) {
	if e := c.byHost[is.by.host]; e != nil {
		c.remove(e)
	}
	c.byHost[is.by.host] = c.recent.PushFront(is)
	if c.recent.Len() > c.size {
		c.remove(c.recent.Back())
	}
}

// retain drops the hosts that are not in set.
func (c *cache) retain(set Hosts) {
	for host, e := range c.byHost {
		if !set.Has(host) {
			c.remove(e)
		}
	}
}

func (c *cache) remove(e *list.Element) {
	delete(c.byHost, c.recent.Remove(e).(*issued).by.host)
}
