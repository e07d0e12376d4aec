package egress

import (
	"net/netip"
	"sync"
	"time"
)

// health remembers which egress addresses to pass over for a while. What it
// knows only changes the order of attempts: an address is never given up for
// good, and trying one that is down costs no more than a failing bind.
type health struct {
	now func() time.Time

	mu    sync.Mutex
	down  map[netip.Addr]time.Time // public address → until when
	pairs map[pair]time.Time       // → until when; at most maxPairs
}

// pair is a connection and the egress address from which its Jira could not be
// reached.
type pair struct {
	connection string
	public     netip.Addr
}

func newHealth(now func() time.Time) *health {
	return &health{now: now, down: map[netip.Addr]time.Time{}, pairs: map[pair]time.Time{}}
}

// order returns ranked with the addresses that connection avoids moved to the
// back, and those that are down behind them.
func (h *health) order(connection string, ranked []Address) []Address {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	var first, avoided, down []Address
	for _, a := range ranked {
		switch {
		case now.Before(h.down[a.Public]):
			down = append(down, a)
		case now.Before(h.pairs[pair{connection, a.Public}]):
			avoided = append(avoided, a)
		default:
			first = append(first, a)
		}
	}
	return append(append(first, avoided...), down...)
}

// markDown puts a last in everybody's order for addressCooldown. It reports
// whether that is news.
func (h *health) markDown(a Address) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	was := now.Before(h.down[a.Public])
	h.down[a.Public] = now.Add(addressCooldown)
	return !was
}

// markUp ends a's cool-down. It reports whether that is news.
func (h *health) markUp(a Address) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, was := h.down[a.Public]
	delete(h.down, a.Public)
	return was
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
