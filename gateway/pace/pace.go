package pace

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Options are the limits. The zero value limits nothing, but pauses are kept.
type Options struct {
	// Concurrency is how many calls of one connection may be at Jira at a time.
	// 0: any number.
	Concurrency int
	// Wait is how long a call may wait for a slot, and Queue how many of one
	// connection may. With either 0, none waits.
	Wait  time.Duration
	Queue int
	// Rate is each connection's requests a second, from one an hour to a million;
	// 0: any number. Burst is how many may come at once; 0: one second's worth.
	Rate  float64
	Burst int
	// AppPoints are the points that all Cloud connections share each UTC hour. 0: no
	// limit. Atlassian's lowest tier has 65,000.
	AppPoints int
	// Paused is told of each pause that an answer of Jira's has made or prolonged
	// ([Pacer.Heed]), so that other gateways of the same connections can keep it, too
	// ([Pacer.Pause]). It must not block, and may be called by several goroutines at
	// once. nil: nobody is.
	Paused func(Pause)
	// Meter takes the metrics; nil: there are none.
	Meter metric.Meter
}

// Call is what there is to know of a call.
type Call struct {
	Connection string // id
	// Incarnation tells connections of one id apart: another inherits nothing,
	// neither pause nor budget nor share.
	Incarnation uint64
	Operation   string // id, for its weight
	Method      string // of Endpoint
	Endpoint    string // its path template: several operations may be of one
	Resource    string // the canonical path
	// App: it is made as the app that Atlassian counts, so of a Cloud connection.
	App bool
}

// Pacer lets calls through, each at its time. Its methods may be called by
// several goroutines at once.
type Pacer struct {
	concurrency int
	patience    time.Duration
	queue       int
	rate        rate
	told        func(Pause)
	meters      meters

	mu          sync.Mutex
	connections map[identity]*connection
	tidied      time.Time
	appPaused   time.Time // until then no call of the app goes out
	fund        *fund     // nil: no limit
	waiting     int64     // calls of all connections, in their queues
	running     int64     // calls of all connections, at Jira
}

// New returns a Pacer. It fails on options outside their limits, and if a metric
// cannot be made.
func New(o Options) (*Pacer, error) {
	switch {
	case o.Concurrency < 0:
		return nil, fmt.Errorf("pace calls: concurrency %d is negative; 0 is no limit", o.Concurrency)
	case o.Wait < 0:
		return nil, fmt.Errorf("pace calls: wait %s is negative; 0 is not to wait", o.Wait)
	case o.Queue < 0:
		return nil, fmt.Errorf("pace calls: queue %d is negative; 0 is no queue", o.Queue)
	case o.Rate != 0 && !(o.Rate >= minRate && o.Rate <= maxRate):
		return nil, fmt.Errorf("pace calls: rate %v is neither 0 (no limit) nor from %v to %v requests a second", o.Rate, minRate, maxRate)
	case o.Burst < 0 || o.Burst > maxBurst:
		return nil, fmt.Errorf("pace calls: burst %d is not from 0 (one second's worth) to %d", o.Burst, maxBurst)
	case o.AppPoints != 0 && (o.AppPoints < heaviest() || o.AppPoints > maxAppPoints):
		return nil, fmt.Errorf("pace calls: app points %d are neither 0 (no limit) nor from %d (the dearest operation) to %d an hour", o.AppPoints, heaviest(), maxAppPoints)
	}
	if o.Burst == 0 {
		o.Burst = max(1, int(math.Ceil(o.Rate)))
	}
	p := &Pacer{
		concurrency: o.Concurrency, patience: o.Wait, queue: o.Queue, rate: newRate(o.Rate, o.Burst),
		told: o.Paused, connections: make(map[identity]*connection), tidied: time.Now(),
	}
	if o.AppPoints > 0 {
		p.fund = newFund(o.AppPoints)
		p.fund.turn(time.Now())
	}
	var err error
	if p.meters, err = newMeters(o.Meter, p); err != nil {
		return nil, fmt.Errorf("pace calls: make the metrics: %w", err)
	}
	return p, nil
}

// Enter waits until the call may go out. The error is a *[Refusal], or ctx's own.
func (p *Pacer) Enter(ctx context.Context, c Call) (*Pass, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	pass, err := p.enter(c)
	if err == nil && pass.ready != nil {
		err = p.wait(ctx, pass)
	}
	if err != nil {
		p.meters.refused(ctx, err)
		return nil, err
	}
	return pass, nil
}

// enter lets a call in, or to the end of the queue.
func (p *Pacer) enter(c Call) (*Pass, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.tidy(now)
	known := p.connection(identity{c.Connection, c.Incarnation})
	if known == nil {
		return nil, &Refusal{ReasonTooMany, tidyEvery}
	}
	known.seen = now
	if refused := p.paused(known, c, now); refused != nil {
		return nil, refused
	}
	pass := &Pass{pacer: p, connection: known, call: c}
	if refused := p.pay(pass, now); refused != nil {
		return nil, refused
	}
	if !p.queueUp(pass) {
		p.giveBack(pass)
		return nil, &Refusal{ReasonBusy, busyRetry}
	}
	return pass, nil
}

// pay takes from the connection's budget and the app's points what one call
// costs, both or nothing.
func (p *Pacer) pay(pass *Pass, now time.Time) *Refusal {
	known := pass.connection
	if wait := known.budget.take(p.rate, now); wait > 0 {
		return &Refusal{ReasonBudget, wait}
	}
	if !pass.call.App || p.fund == nil {
		return nil
	}
	if known.share == nil {
		known.share = p.fund.join(now)
	}
	paid, wait := p.fund.pay(known.share, Weight(pass.call.Operation), now)
	if wait > 0 {
		known.budget.giveBack(p.rate)
		reason := ReasonAppShare
		if p.fund.withheld(known.share, int64(Weight(pass.call.Operation))*point) {
			reason = ReasonAppPaused
		}
		return &Refusal{reason, wait}
	}
	pass.paid = paid
	return nil
}

// giveBack returns what a call has paid last that did not go out.
func (p *Pacer) giveBack(pass *Pass) {
	pass.connection.budget.giveBack(p.rate)
	if pass.connection.share != nil {
		p.fund.refund(pass.connection.share, pass.paid)
	}
}

// Keep forgets the connections that do not exist any more, or not in that
// incarnation, and have no call at Jira. exists is called without a lock held.
func (p *Pacer) Keep(exists func(connection string, incarnation uint64) bool) {
	p.mu.Lock()
	ids := slices.Collect(maps.Keys(p.connections))
	p.mu.Unlock()
	for _, id := range ids {
		if exists(id.connection, id.incarnation) {
			continue
		}
		p.mu.Lock()
		if known := p.connections[id]; known != nil && !known.busy() {
			p.forget(id, known)
		}
		p.mu.Unlock()
	}
}
