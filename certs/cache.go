package certs

import (
	"container/list"
	"crypto/tls"
	"sync"
	"time"
)

// leafCache keeps the most recently used leaves, one a host.
type leafCache struct {
	mu     sync.Mutex
	size   int
	byHost map[string]*list.Element
	recent *list.List // of *cachedLeaf, the latest used in front
}

type cachedLeaf struct {
	validity
	host string
	cert *tls.Certificate
}

func newLeafCache(size int) *leafCache {
	return &leafCache{size: size, byHost: make(map[string]*list.Element), recent: list.New()}
}

// get returns nil for a host that is not there or is due for renewal.
func (c *leafCache) get(host string, now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byHost[host]
	if e == nil {
		return nil
	}
	leaf := e.Value.(*cachedLeaf)
	if !leaf.fresh(now) {
		return nil
	}
	c.recent.MoveToFront(e)
	return leaf.cert
}

func (c *leafCache) put(host string, cert *tls.Certificate, v validity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byHost[host]; e != nil {
		c.recent.Remove(e)
	}
	c.byHost[host] = c.recent.PushFront(&cachedLeaf{validity: v, host: host, cert: cert})
	if c.recent.Len() > c.size {
		oldest := c.recent.Remove(c.recent.Back()).(*cachedLeaf)
		delete(c.byHost, oldest.host)
	}
}
