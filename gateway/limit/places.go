package limit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// PlacesOptions say how many places there are.
type PlacesOptions struct {
	// Total is how many there are. It must be positive.
	Total int64
	// Each is how many one may hold whatever is free; 0: no bound but that of the
	// fair share.
	Each int64
	// Wait is how long one may wait for places, and Queue how many of one may
	// wait. With either 0, none waits.
	Wait  time.Duration
	Queue int
}

// Places are shared among whoever asks, by name. Methods may be called by several
// goroutines at once.
type Places struct {
	o PlacesOptions

	mu      sync.Mutex
	free    int64
	holders map[string]*holder // those that hold or wait
	spare   *holder            // the one that was forgotten last, for the next that comes
	waiting map[*holder]struct{}
	order   uint64 // of the last one that had to wait
}

type holder struct {
	name  string
	held  int64
	queue []*asker // first come first
}

type asker struct {
	n       int64
	order   uint64
	granted chan struct{} // closed once it has them, under the lock
	got     bool
}

// NewPlaces returns places of which none is taken.
func NewPlaces(o PlacesOptions) *Places {
	return &Places{o: o, free: o.Total, holders: make(map[string]*holder), waiting: make(map[*holder]struct{})}
}

// Full is the error of places that could not be had in time.
type Full struct {
	// Own: whoever asked holds some itself, and would have got another if it
	// held fewer.
	Own bool
}

func (f *Full) Error() string {
	if f.Own {
		return "its share of the places is taken"
	}
	return "all places are taken"
}

// Hold is places that are taken. Release it. All methods may be called on a nil
// Hold, and on the zero one, which holds none. It is not to be copied while it holds.
type Hold struct {
	places *Places
	holder *holder
	n      int64 // under the lock
}

// Take takes n places for name, waiting for them as the options allow. The error
// is a *[Full], or ctx's own.
func (p *Places) Take(ctx context.Context, name string, n int64) (*Hold, error) {
	hold := new(Hold)
	if err := p.TakeInto(ctx, hold, name, n); err != nil {
		return nil, err
	}
	return hold, nil
}

// TakeInto is [Places.Take] into a Hold that the caller has, which holds none: where
// places are free, it allocates nothing.
func (p *Places) TakeInto(ctx context.Context, hold *Hold, name string, n int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	h := p.holder(name)
	if len(h.queue) == 0 && p.fits(h, n) && !p.poorerWaits(h) {
		p.give(h, n)
		p.mu.Unlock()
		*hold = Hold{p, h, n}
		return nil
	}
	if p.o.Wait == 0 || len(h.queue) >= p.o.Queue {
		full := &Full{Own: h.held > 0}
		p.forget(h)
		p.mu.Unlock()
		return full
	}
	p.order++
	a := &asker{n: n, order: p.order, granted: make(chan struct{})}
	h.queue = append(h.queue, a)
	p.waiting[h] = struct{}{}
	p.mu.Unlock()
	if err := p.wait(ctx, h, a); err != nil {
		return err
	}
	*hold = Hold{p, h, n}
	return nil
}

// holder is who has that name, as long as it holds or waits.
func (p *Places) holder(name string) *holder {
	h := p.holders[name]
	if h != nil {
		return h
	}
	if h, p.spare = p.spare, nil; h == nil {
		h = &holder{}
	}
	h.name = name
	p.holders[name] = h
	return h
}

func (p *Places) wait(ctx context.Context, h *holder, a *asker) error {
	patience := time.NewTimer(p.o.Wait)
	defer patience.Stop()
	select {
	case <-a.granted:
	case <-patience.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := ctx.Err()
	if a.got {
		if err == nil {
			return nil // even if they came at the very end of the wait
		}
		p.back(h, a.n)
		return err
	}
	if err == nil {
		err = &Full{Own: h.held > 0}
	}
	h.queue = slices.DeleteFunc(h.queue, func(q *asker) bool { return q == a })
	if len(h.queue) == 0 {
		delete(p.waiting, h)
	}
	p.forget(h)
	p.serve() // those behind it may have waited for its sake alone
	return err
}

// capped reports whether h may not have n more whatever is free.
func (p *Places) capped(h *holder, n int64) bool { return p.o.Each > 0 && h.held+n > p.o.Each }

// fits reports whether h may have n more: after that it holds no more than were free.
func (p *Places) fits(h *holder, n int64) bool { return !p.capped(h, n) && h.held+n <= p.free }

// poorerWaits reports whether somebody waits who comes before h.
func (p *Places) poorerWaits(h *holder) bool {
	poorest := p.poorest()
	return poorest != nil && poorest.held <= h.held
}

// poorest is who is next: of those waiting who holds the fewest, and of several the
// one that waits longest. nil: none, but for those that have all they may have.
func (p *Places) poorest() (next *holder) {
	for h := range p.waiting {
		if p.capped(h, h.queue[0].n) {
			continue
		}
		if next == nil || h.held < next.held || h.held == next.held && h.queue[0].order < next.queue[0].order {
			next = h
		}
	}
	return next
}

// serve gives what is free to those waiting. If the next one doesn't fit, nobody
// comes before it, or who asks for much would wait for ever.
func (p *Places) serve() {
	for len(p.waiting) > 0 {
		h := p.poorest()
		if h == nil || !p.fits(h, h.queue[0].n) {
			return
		}
		a := h.queue[0]
		h.queue = slices.Delete(h.queue, 0, 1)
		if len(h.queue) == 0 {
			delete(p.waiting, h)
		}
		p.give(h, a.n)
		a.got = true
		close(a.granted)
	}
}

func (p *Places) give(h *holder, n int64) {
	p.free -= n
	h.held += n
}

func (p *Places) back(h *holder, n int64) {
	p.free += n
	h.held -= n
	p.forget(h)
	p.serve()
}

func (p *Places) forget(h *holder) {
	if h.held == 0 && len(h.queue) == 0 && p.holders[h.name] == h {
		delete(p.holders, h.name)
		h.name = "" // nothing refers to it any more but what has given all back
		p.spare = h
	}
}

// Used is how many places are taken, and of how many.
func (p *Places) Used() (used, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.o.Total - p.free, p.o.Total
}

// Keep gives back all but n places.
func (h *Hold) Keep(n int64) {
	if h == nil || h.places == nil {
		return
	}
	h.places.mu.Lock()
	defer h.places.mu.Unlock()
	if surplus := h.n - n; surplus > 0 {
		h.n = n
		h.places.back(h.holder, surplus)
	}
}

// Release gives all of them back. Once released, it changes nothing.
func (h *Hold) Release() { h.Keep(0) }
