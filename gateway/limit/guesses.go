package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// GuessesOptions say how often somebody may fail.
type GuessesOptions struct {
	// Pair failures of one name from one address may come at once, and then one in
	// each PairPer; Address and AddressPer are the same of all names from there.
	Pair, Address       int
	PairPer, AddressPer time.Duration
	// Remember is how long one who succeeded is known at an address.
	Remember time.Duration
	// Most bounds the entries of each table.
	Most int
}

// Guesses slows down who fails to say who it is: of a name, by its address, and
// of an address, by whatever names. Nothing counts from elsewhere, so nobody can
// lock somebody out of another address; and who was known at an address lately
// does not suffer from other names failing there. Methods may be called by several
// goroutines at once.
type Guesses struct {
	o         GuessesOptions
	seed      maphash.Seed
	pairs     *Buckets[pair]
	addresses *Buckets[netip.Prefix]

	mu    sync.Mutex
	known map[pair]time.Time // until when
}

// pair is a name at an address. The name is hashed, since it may be long.
type pair struct {
	from netip.Prefix
	name uint64
}

// NewGuesses returns Guesses that have seen none.
func NewGuesses(o GuessesOptions) *Guesses {
	return &Guesses{
		o: o, seed: maphash.MakeSeed(), known: make(map[pair]time.Time),
		pairs:     NewBuckets[pair](o.Pair, o.PairPer, o.Most),
		addresses: NewBuckets[netip.Prefix](o.Address, o.AddressPer, o.Most),
	}
}

// Tried notes that from has tried to be name, and whether it was: as whom ("" for
// a failure). It returns how long from must wait before it may try again. If that
// is not 0 the try does not count, and its outcome must not show, or one could go
// on guessing. name may be empty, where what was shown names nobody: then only the
// address counts.
func (g *Guesses) Tried(from netip.Addr, name, as string) (wait time.Duration) {
	at := Network(from)
	if name != "" {
		wait = g.pairs.Wait(g.pair(at, name))
	}
	if as == "" || !g.knows(g.pair(at, as)) {
		wait = max(wait, g.addresses.Wait(at))
	}
	switch {
	case wait > 0:
	case as != "":
		g.remember(g.pair(at, as))
	default: // others may have failed at the same time
		if wait = g.addresses.Take(at); wait == 0 && name != "" {
			wait = g.pairs.Take(g.pair(at, name))
		}
	}
	return wait
}

func (g *Guesses) pair(from netip.Prefix, name string) pair {
	return pair{from, maphash.String(g.seed, name)}
}

func (g *Guesses) knows(p pair) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.known[p])
}

func (g *Guesses) remember(p pair) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.known[p]; !ok && len(g.known) >= g.o.Most {
		for k := range g.known { // any: it is known again with its next success
			delete(g.known, k)
			break
		}
	}
	g.known[p] = time.Now().Add(g.o.Remember)
}

// Network is what an address counts as: itself, and of IPv6 the network, since who
// has one address of it has all.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // of an address that is none: none
	return p
}
