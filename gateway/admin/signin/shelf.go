package signin

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"sync"
	"time"
)

// Bounds of sign-ins that are under way at the provider.
const (
	waitFor    = 10 * time.Minute
	maxWaiting = 1000
)

// flow is a sign-in that is under way at the provider.
type flow struct {
	browser  digest // of the cookie of the browser that began
	nonce    string
	verifier string // RFC 7636
	to       string
}

// shelf holds the flows, by the digest of their state. When it is full, the address
// that has most of them makes room, by its oldest: a crowd of one displaces itself.
type shelf struct {
	mu    sync.Mutex
	items []item // the oldest first
}

type item struct {
	key     digest
	addr    string // where the browser is, without a port
	expires time.Time
	flow    flow
}

// put keeps a flow until somebody takes it.
func (s *shelf) put(now time.Time, state, addr string, f flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = slices.DeleteFunc(s.items, func(i item) bool { return !now.Before(i.expires) })
	if len(s.items) >= maxWaiting {
		at := s.crowd()
		s.items = slices.Delete(s.items, at, at+1)
	}
	s.items = append(s.items, item{sha256.Sum256([]byte(state)), addr, now.Add(waitFor), f})
}

// crowd finds the oldest of the address that has most.
func (s *shelf) crowd() (first int) {
	of := map[string]int{}
	for _, i := range s.items {
		of[i.addr]++
	}
	most := 0
	for at, i := range s.items {
		if of[i.addr] > most {
			most, first = of[i.addr], at
		}
	}
	return first
}

// take removes and returns what was put under state, unless its time is over. All
// digests are compared, in constant time, so that the time taken tells nothing.
func (s *shelf) take(now time.Time, state string) (flow, bool) {
	want := sha256.Sum256([]byte(state))
	s.mu.Lock()
	defer s.mu.Unlock()
	found := -1
	for i := range s.items {
		if subtle.ConstantTimeCompare(s.items[i].key[:], want[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return flow{}, false
	}
	i := s.items[found]
	s.items = slices.Delete(s.items, found, found+1)
	return i.flow, now.Before(i.expires)
}
