package signin

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// How many wrong tokens there may be: at once, and then one each while.
const (
	triesEach    = 10
	triesEachPer = 10 * time.Second
	triesAll     = 100
	triesAllPer  = 100 * time.Millisecond

	// maxTriers is of how many addresses and browsers it is remembered.
	maxTriers = 1000
)

// tries limits the guessing of the admin token, of each address or browser and of
// all addresses. It is a leaky bucket for each (GCRA, ITU-T I.371): what is kept is
// when it will be empty.
type tries struct {
	now func() time.Time

	mu     sync.Mutex
	byWhom map[string]time.Time
	all    time.Time
}

// take takes a turn. It returns how long to wait for one, if there is none; a turn
// that isn't given costs nothing. A browser that is known has no part in that of all.
func (t *tries) take(whom string, known bool) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	each, wait := turn(now, t.byWhom[whom], triesEach, triesEachPer)
	if wait > 0 {
		return wait
	}
	if !known {
		all, wait := turn(now, t.all, triesAll, triesAllPer)
		if wait > 0 {
			return wait
		}
		t.all = all
	}
	t.makeRoom(now, whom)
	t.byWhom[whom] = each
	return 0
}

// turn is when the bucket will be empty after one more, or how long to wait for that.
func turn(now, empty time.Time, burst int, per time.Duration) (time.Time, time.Duration) {
	if empty.Before(now) {
		empty = now
	}
	if wait := empty.Sub(now) - time.Duration(burst-1)*per; wait > 0 {
		return time.Time{}, wait
	}
	return empty.Add(per), 0
}

// giveBack takes back the turn of somebody who had the right token.
func (t *tries) giveBack(whom string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if empty, ok := t.byWhom[whom]; ok {
		t.byWhom[whom] = empty.Add(-triesEachPer)
	}
	if !known {
		t.all = t.all.Add(-triesAllPer)
	}
}

// makeRoom forgets those whose bucket is empty, and if that doesn't help the one
// whose would be first.
func (t *tries) makeRoom(now time.Time, whom string) {
	if _, ok := t.byWhom[whom]; ok || len(t.byWhom) < maxTriers {
		return
	}
	first := ""
	for w, empty := range t.byWhom {
		if !empty.After(now) {
			delete(t.byWhom, w)
		} else if first == "" || empty.Before(t.byWhom[first]) {
			first = w
		}
	}
	if len(t.byWhom) >= maxTriers {
		delete(t.byWhom, first)
	}
}

// host is the address of a browser without its port, and of an IPv6 address the
// network: whoever has one address of it has all.
func host(remote string) string {
	h, _, err := net.SplitHostPort(remote)
	if err != nil {
		h = remote
	}
	ip, err := netip.ParseAddr(h)
	if err != nil {
		return h
	}
	if ip = ip.Unmap(); ip.Is6() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
