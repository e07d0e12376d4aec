package consent

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"sync"
	"time"
)

// Bounds of what waits for a browser.
const (
	waitFor     = 10 * time.Minute
	maxWaiting  = 1000
	maxWaitEach = 20 // for one invitation: mail scanners, and some tries
)

// digest is the SHA-256 of a random value.
type digest = [sha256.Size]byte

// shelf holds what waits for a browser to come back with its key, for a limited
// time. Where an invitation has no room, the address that most waits for makes some,
// by the oldest that it has: a program that opens the link again and again, as those
// that look for evil in mail do, displaces itself, and not the customer. Where there
// is no room at all, the oldest goes. It is safe for concurrent use.
type shelf[T any] struct {
	mu    sync.Mutex
	items []item[T] // the oldest first
}

type item[T any] struct {
	key     digest
	owner   digest // the invitation that it belongs to
	addr    string // where the browser is, without a port
	expires time.Time
	value   T
}

// put keeps value until somebody takes it.
func (s *shelf[T]) put(now time.Time, key string, owner digest, addr string, value T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = slices.DeleteFunc(s.items, func(i item[T]) bool { return !now.Before(i.expires) })
	switch same, first := s.crowd(owner); {
	case same >= maxWaitEach:
		s.items = slices.Delete(s.items, first, first+1)
	case len(s.items) >= maxWaiting:
		s.items = slices.Delete(s.items, 0, 1)
	}
	s.items = append(s.items, item[T]{sha256.Sum256([]byte(key)), owner, addr, now.Add(waitFor), value})
}

// crowd counts what waits of one owner, and finds the oldest of the address that has
// most of it.
func (s *shelf[T]) crowd(owner digest) (same, first int) {
	of := map[string]int{}
	for _, i := range s.items {
		if i.owner == owner {
			same++
			of[i.addr]++
		}
	}
	most := 0
	for at, i := range s.items {
		if i.owner == owner && of[i.addr] > most {
			most, first = of[i.addr], at
		}
	}
	return same, first
}

// take removes and returns what was put under key, unless its time is over. Digests
// are compared in constant time, and all of them, so that the time taken tells
// nothing of any key.
func (s *shelf[T]) take(now time.Time, key string) (value T, ok bool) {
	want := sha256.Sum256([]byte(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	found := -1
	for i := range s.items {
		if subtle.ConstantTimeCompare(s.items[i].key[:], want[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return value, false
	}
	i := s.items[found]
	s.items = slices.Delete(s.items, found, found+1)
	if !now.Before(i.expires) {
		return value, false
	}
	return i.value, true
}
