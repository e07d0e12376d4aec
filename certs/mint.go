package certs

import "time"

// mintBurst certificates may be made at once, as after a start with many hosts, and
// then one each mintEvery: each takes a tenth of a millisecond of a processor, and
// with more hosts than are cached, whoever asks for them in turn has each made anew.
const (
	mintBurst = 4096
	mintEvery = 10 * time.Millisecond
)

// mint says when what was made will be made up for (a leaky bucket).
type mint struct{ empty time.Time }

// mayMint takes leave to make one certificate.
func (a *Authority) mayMint(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mint.empty.Before(now) || a.mint.empty.Sub(now) > mintBurst*mintEvery { // the clock was set back
		a.mint.empty = now
	}
	next := a.mint.empty.Add(mintEvery)
	if next.Sub(now) > mintBurst*mintEvery {
		return false
	}
	a.mint.empty = next
	return true
}
