package pace

import (
	"context"
	"slices"
	"time"
)

// identity is what connections are told apart by.
type identity struct {
	connection  string
	incarnation uint64
}

// connection is what is known of one connection, under the Pacer's lock.
type connection struct {
	seen    time.Time // its last call
	budget  budget
	share   *share            // nil until its first call of the app
	paused  time.Time         // until then none of its calls goes out
	holds   map[sum]time.Time // by endpoint or resource; nil: none
	running int               // calls at Jira
	queue   []*Pass           // calls waiting, first come first
}

func (k *connection) busy() bool { return k.running > 0 || len(k.queue) > 0 }

// connection returns what is known of one, nil if there is no room for it.
func (p *Pacer) connection(id identity) *connection {
	known := p.connections[id]
	if known == nil && len(p.connections) < maxConnections {
		known = &connection{}
		p.connections[id] = known
	}
	return known
}

// tidy forgets connections that were not seen for long and are not paused.
func (p *Pacer) tidy(now time.Time) {
	if now.Sub(p.tidied) < tidyEvery {
		return
	}
	p.tidied = now
	for id, known := range p.connections {
		if now.Sub(known.seen) >= forgetAfter && !known.busy() && !known.resting(now) {
			p.forget(id, known)
		}
	}
}

func (p *Pacer) forget(id identity, known *connection) {
	delete(p.connections, id)
	if known.share != nil {
		p.fund.leave(known.share)
	}
}

// queueUp gives pass a slot or a place in the queue. It returns false if there is
// neither.
func (p *Pacer) queueUp(pass *Pass) bool {
	known := pass.connection
	switch {
	case p.concurrency == 0 || known.running < p.concurrency:
		pass.in = true
		known.running++
		p.running++
	case p.patience == 0 || len(known.queue) >= p.queue:
		return false
	default:
		pass.ready = make(chan struct{})
		known.queue = append(known.queue, pass)
		p.waiting++
	}
	return true
}

// wait waits for the slot of a queued pass. Jira may have asked for a pause in
// the meantime.
func (p *Pacer) wait(ctx context.Context, pass *Pass) error {
	since := time.Now()
	patience := time.NewTimer(p.patience)
	defer patience.Stop()
	select {
	case <-pass.ready:
	case <-patience.C:
	case <-ctx.Done():
	}
	now := time.Now()
	p.meters.waited(ctx, now.Sub(since))

	p.mu.Lock()
	defer p.mu.Unlock()
	err := ctx.Err()
	if err == nil {
		if refused := p.paused(pass.connection, pass.call, now); refused != nil {
			err = refused
		} else if pass.in {
			return nil // even if the slot came at the very end of the wait
		} else {
			err = &Refusal{ReasonBusy, busyRetry}
		}
	}
	if pass.in {
		p.release(pass)
	} else {
		known := pass.connection
		known.queue = slices.DeleteFunc(known.queue, func(q *Pass) bool { return q == pass })
		p.waiting--
	}
	p.giveBack(pass)
	return err
}

// release hands the slot on.
func (p *Pacer) release(pass *Pass) {
	pass.in = false
	known := pass.connection
	if len(known.queue) == 0 {
		known.running--
		p.running--
		return
	}
	next := known.queue[0]
	known.queue = slices.Delete(known.queue, 0, 1)
	p.waiting--
	next.in = true
	close(next.ready)
}
