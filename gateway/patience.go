package gateway

import (
	"context"
	"sync"
	"time"
)

// patience is a context that ends a while from now, or with its parent. It is
// context.WithTimeout for what hardly ever has to wait: its timer is made when
// somebody waits for the end.
type patience struct {
	parent context.Context
	end    time.Time

	mu     sync.Mutex
	waited context.Context // nil until Done is called
	cancel context.CancelFunc
	over   bool // no timer is made any more
}

// begin begins the time. It must be finished when the work is done.
func (p *patience) begin(parent context.Context, d time.Duration) {
	*p = patience{parent: parent, end: time.Now().Add(d)}
}

func (p *patience) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.cancel != nil {
		p.cancel()
	}
}

// Deadline implements [context.Context].
func (p *patience) Deadline() (time.Time, bool) {
	if end, ok := p.parent.Deadline(); ok && end.Before(p.end) {
		return end, true
	}
	return p.end, true
}

// Done implements [context.Context].
func (p *patience) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waited == nil {
		p.waited, p.cancel = context.WithDeadline(p.parent, p.end)
		if p.over {
			p.cancel()
		}
	}
	return p.waited.Done()
}

// Err implements [context.Context].
func (p *patience) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.waited != nil:
		return p.waited.Err()
	case p.parent.Err() != nil:
		return p.parent.Err()
	case !time.Now().Before(p.end):
		return context.DeadlineExceeded
	case p.over:
		return context.Canceled
	}
	return nil
}

// Value implements [context.Context]. Package context asks for its own end by a
// value, after Done.
func (p *patience) Value(key any) any {
	p.mu.Lock()
	waited := p.waited
	p.mu.Unlock()
	if waited != nil {
		return waited.Value(key)
	}
	return p.parent.Value(key)
}
