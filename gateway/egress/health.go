package egress

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// health remembers which egress addresses to pass over for a while. Binding a
// local address costs nothing, so one that could not be bound is only tried last. A
// proxy that failed costs the time that it takes to fail: it is not asked at all
// until its cool-down is over, and then by one dial alone (a circuit breaker).
type health struct {
	now func() time.Time

	mu      sync.Mutex
	outages map[netip.Addr]*outage // by public address
	pairs   map[pair]time.Time     // → until when; at most maxPairs
}

// outage is what is known against one egress address.
type outage struct {
	until    time.Time
	cooldown time.Duration
	// silent are the connections for which it left open who is at fault, since it
	// answered for the last time; an outage only from maxSilences on.
	silent map[string]bool
	down   bool // it has failed, and not worked since
	trial  bool // a dial is finding out whether it is over
	probe  bool // a probe is, beside which a dial may
}

// pair is a connection and the egress address from which its Jira could not be
// reached.
type pair struct {
	connection string
	public     netip.Addr
}

func newHealth(now func() time.Time) *health {
	return &health{now: now, outages: map[netip.Addr]*outage{}, pairs: map[pair]time.Time{}}
}

// order returns ranked with the addresses that connection avoids moved to the
// back, and those that could not be bound behind them. Proxies that are not to be
// asked are left out.
func (h *health) order(connection string, ranked []Address) []Address {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	var first, avoided, down []Address
	for _, a := range ranked {
		o := h.outages[a.Public]
		out := o != nil && o.down && now.Before(o.until)
		switch {
		case out && a.Proxy != nil:
		case out:
			down = append(down, a)
		case now.Before(h.pairs[pair{connection, a.Public}]):
			avoided = append(avoided, a)
		default:
			first = append(first, a)
		}
	}
	return append(append(first, avoided...), down...)
}

// admit reports whether a may be tried now. Of the dials that want to try a proxy
// after its cool-down one goes first, which is the trial: it ends with markDown,
// markSilent or markUp, or without having learned anything with retry.
func (h *health) admit(a Address) (admitted, trial bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.outages[a.Public]
	if a.Proxy == nil || o == nil || !o.down {
		return true, false
	}
	now := h.now()
	if now.Before(o.until) {
		return false, false
	}
	o.until, o.trial = now.Add(dialTimeout), true
	return true, true
}

// markDown passes a over for its cool-down. It reports whether that is news.
func (h *health) markDown(a Address) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fail(a)
}

// markSilent is markDown for a failure that may have been the upstream's: only
// several connections together count, so that one customer's Jira can't take an
// address from the others. A trial that ended so is made again after as long.
func (h *health) markSilent(a Address, connection string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.outage(a)
	if o.down {
		if o.trial {
			o.trial, o.until = false, h.now().Add(o.cooldown)
		}
		return false
	}
	if o.silent == nil {
		o.silent = map[string]bool{}
	}
	o.silent[connection] = true
	if len(o.silent) < maxSilences {
		return false
	}
	return h.fail(a)
}

// beginProbe reports whether it is time to find out if a works again. Who gets true
// ends it by endProbe.
func (h *health) beginProbe(a Address) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.outages[a.Public]
	if o == nil || !o.down || o.trial || o.probe || h.now().Before(o.until) {
		return false
	}
	o.probe = true
	return true
}

// endProbe ends a probe. One that failed begins another cool-down.
func (h *health) endProbe(a Address, failed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.outages[a.Public]
	if o == nil || !o.probe {
		return
	}
	o.probe = false
	if failed && !o.trial {
		o.cooldown = min(2*o.cooldown, maxProxyCooldown)
		o.until = h.now().Add(o.cooldown)
	}
}

func (h *health) outage(a Address) *outage {
	o := h.outages[a.Public]
	if o == nil {
		o = &outage{}
		h.outages[a.Public] = o
	}
	return o
}

func (h *health) fail(a Address) (news bool) {
	o := h.outage(a)
	if a.Proxy != nil && o.down && !o.trial {
		return false // a dial that began before the outage: it says nothing new
	}
	o.trial = false
	switch {
	case a.Proxy == nil:
		o.cooldown = addressCooldown
	case o.cooldown == 0:
		o.cooldown = proxyCooldown
	default:
		o.cooldown = min(2*o.cooldown, maxProxyCooldown)
	}
	now := h.now()
	news = !o.down || a.Proxy == nil && !now.Before(o.until)
	o.down, o.until = true, now.Add(o.cooldown)
	return news
}

// markUp ends what is known against a. It reports whether that is news.
func (h *health) markUp(a Address) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.outages[a.Public]
	delete(h.outages, a.Public)
	return o != nil && o.down
}

// carried is what is known still when next come in the place of addresses: what was
// found out about one with another password says nothing. Dials that are under way
// tell the old one what they find out.
func (h *health) carried(next, addresses []Address) *health {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := newHealth(h.now)
	for _, a := range next {
		if !slices.ContainsFunc(addresses, a.equal) {
			continue
		}
		if o := h.outages[a.Public]; o != nil {
			kept := *o
			kept.silent = maps.Clone(o.silent)
			if o.trial {
				kept.until = h.now() // its end will not be told
			}
			kept.trial, kept.probe = false, false
			fresh.outages[a.Public] = &kept
		}
		for p, until := range h.pairs {
			if p.public == a.Public {
				fresh.pairs[p] = until
			}
		}
	}
	return fresh
}

// retry ends a trial that has not ended yet, and lets the next dial try again.
func (h *health) retry(a Address) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.outages[a.Public]; o != nil && o.trial {
		o.until, o.trial = h.now(), false
	}
}

// outageOf reports whether a is down, and from when on it may be tried again.
func (h *health) outageOf(a Address) (down bool, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.outages[a.Public]; o != nil && o.down {
		return true, o.until
	}
	return false, time.Time{}
}

// settle records how a dial ended: connection reached its Jira from used, and
// did not from any of failed.
func (h *health) settle(connection string, used Address, failed []Address) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	delete(h.pairs, pair{connection, used.Public})
	for _, a := range failed {
		if len(h.pairs) >= maxPairs {
			h.makeRoom(now)
		}
		h.pairs[pair{connection, a.Public}] = now.Add(pairCooldown)
	}
}

// makeRoom forgets the pairs whose time is over, or, if there are none, one
// that happens to come first.
func (h *health) makeRoom(now time.Time) {
	for p, until := range h.pairs {
		if !now.Before(until) {
			delete(h.pairs, p)
		}
	}
	for p := range h.pairs {
		if len(h.pairs) < maxPairs {
			return
		}
		delete(h.pairs, p)
	}
}
