package audit

import (
	"hash/maphash"
	"iter"
)

// underWay are the calls under way, by id: lists of those whose ids have the same hash,
// through the calls themselves. A map takes three times as long to put one in and
// take it out.
type underWay struct {
	seed  maphash.Seed
	size  int
	lists [1 << 10]*Pending // 64 in each at [maxPending]
}

// place is where the list for p begins, and remembers p's hash.
func (u *underWay) place(p *Pending) **Pending {
	return &u.lists[p.hash%uint64(len(u.lists))]
}

// add puts p in, unless one of its id is there.
func (u *underWay) add(p *Pending) bool {
	p.hash = maphash.String(u.seed, p.id)
	list := u.place(p)
	for other := *list; other != nil; other = other.next {
		if other.hash == p.hash && other.id == p.id {
			return false
		}
	}
	p.next, *list = *list, p
	u.size++
	return true
}

// remove takes p out, which must be there.
func (u *underWay) remove(p *Pending) {
	at := u.place(p)
	for *at != p {
		at = &(*at).next
	}
	*at, p.next = p.next, nil
	u.size--
}

// all gives them in no certain order.
func (u *underWay) all() iter.Seq[*Pending] {
	return func(yield func(*Pending) bool) {
		for _, p := range u.lists {
			for ; p != nil; p = p.next {
				if !yield(p) {
					return
				}
			}
		}
	}
}
