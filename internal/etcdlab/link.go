package etcdlab

import (
	"fmt"
	"net"
	"strconv"
	"testing"
)

// Link is one client's own way to the cluster: a TCP relay before each member. Whoever
// is given its endpoints can be cut off while all others go on. It passes TLS through.
// A client that takes the members' addresses from the cluster instead
// (clientv3.Config.AutoSyncInterval, Client.Sync) goes around it. It is safe for
// concurrent use.
type Link struct {
	c      *Cluster
	wire   *wire
	relays []*relay
}

// Link makes a way to the cluster that ends with the test.
func (c *Cluster) Link(t testing.TB) *Link {
	t.Helper()
	c.mu.Lock()
	port := firstLinkPort + c.links
	c.links++
	c.mu.Unlock()
	l := &Link{c: c, wire: &wire{}}
	t.Cleanup(func() {
		for _, r := range l.relays {
			r.refuse()
		}
		l.wire.reset()
		for _, r := range l.relays {
			r.running.Wait()
		}
	})
	for _, m := range c.members {
		r := &relay{address: net.JoinHostPort(m.host, strconv.Itoa(port)), target: m.Endpoint(), wire: l.wire}
		l.relays = append(l.relays, r)
		if err := r.listen(); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// Endpoints returns the relays' addresses, "host:port", in the order of the members.
func (l *Link) Endpoints() []string {
	var all []string
	for _, r := range l.relays {
		all = append(all, r.address)
	}
	return all
}

// Cut makes the link a hole: whatever is sent is accepted and lost, nothing comes back,
// no connection ends. New connections are accepted and are as dead. Unlike packets that
// a network loses, the bytes are acknowledged, so no TCP timeout (TCP_USER_TIMEOUT)
// notices; only a protocol's own pings do, HTTP/2's for one.
func (l *Link) Cut() {
	l.wire.setCut(true)
	l.listen()
}

// Reset resets all connections, and has new ones refused.
func (l *Link) Reset() {
	for _, r := range l.relays {
		r.refuse()
	}
	l.wire.reset()
}

// Heal lets new connections through. Those that were cut stay dead, as after a firewall
// has forgotten them: it is the client who must notice. [Link.Reset] before Heal tells it.
func (l *Link) Heal() {
	l.wire.setCut(false)
	l.listen()
}

func (l *Link) listen() {
	for i, r := range l.relays {
		if err := r.listen(); err != nil {
			l.c.t.Errorf("etcdlab: link to %s: %v", l.c.members[i].Name(), fmt.Errorf("listen again: %w", err))
		}
	}
}
