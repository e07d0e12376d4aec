package activity

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"jiragate/gateway/audit"
)

const (
	// Horizon is how far back counts go.
	Horizon = 32 * 24 * time.Hour
	// FineHorizon is how far back they go by the minute.
	FineHorizon = 25 * time.Hour
)

// Options are what [New] needs.
type Options struct {
	Now func() time.Time // time.Now if nil
	// Weight is how many points Atlassian's budget counts for a call of an operation;
	// if nil, none are counted. It is called with a mutex held.
	Weight func(operation string) int
}

// Board has the counts. All methods are safe for concurrent use.
type Board struct {
	now    func() time.Time
	weight func(operation string) int
	live   audience

	mu          sync.Mutex
	since       time.Time // from when on all records were given
	minutes     *ring
	hours       *ring
	codes       *names // of refusals
	words       *names // operations and codes of last calls
	connections *roster
	clients     *roster
}

// maxWords bounds the operations and codes that last calls are told with.
const maxWords = 4096

// New makes an empty board. What it is not given by [Board.Load] counts as unknown,
// so make it right before the log is opened.
func New(o Options) *Board {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Board{
		now: o.Now, weight: o.Weight, since: o.Now().UTC(),
		minutes: newRing(time.Minute, FineHorizon), hours: newRing(time.Hour, Horizon),
		codes: newNames(maxCodes), words: newNames(maxWords),
		connections: newRoster(maxParties), clients: newRoster(maxParties),
	}
}

// Observe counts a record that was just written, and passes it on to those who
// [Board.Watch]. It never blocks.
func (b *Board) Observe(r audit.Record) {
	b.count(&r, true)
	b.live.tell(&r)
}

// Past says what [Board.Load] is given.
type Past struct {
	// Since is from when on the records are all there: later where the log begins
	// later because its beginning was removed.
	Since time.Time
	// Found is [audit.Log.Found]: records with a later seq come by Observe.
	Found uint64
}

// Load counts the records of the log, in any order, while others may be observed; best
// oldest first, for who was active least recently. When it has returned nil, counts
// are whole from p.Since on. Called several times, for one part of the past each, from
// the newest part back, it makes charts of the last day whole soon; a record must not
// be in two parts. Where it fails, what it has read is counted and must not be loaded
// again.
//
// Lines that are no records are passed over, and the error wraps the first
// [*audit.DefectError] in the end. Any other error of records ends it, and so does that
// of ctx.
func (b *Board) Load(ctx context.Context, p Past, records iter.Seq2[audit.Entry, error]) error {
	var first *audit.DefectError
	damaged := 0
	for entry, err := range records {
		if defect, ok := errors.AsType[*audit.DefectError](err); ok {
			if damaged++; first == nil {
				first = defect
			}
			continue
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("count the records of the audit log: %w", err)
		}
		if entry.Seq <= p.Found {
			b.count(&entry.Record, false)
		}
	}
	if first != nil {
		return fmt.Errorf("count the records of the audit log: %d lines are no records; jiragate audit verify tells more: %w", damaged, first)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("count the records of the audit log: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Since.Before(b.since) {
		b.since = p.Since.UTC()
	}
	return nil
}

func (b *Board) count(r *audit.Record, live bool) {
	now := b.now()
	latency := latencyBucket(r.DurationMS)
	b.mu.Lock()
	defer b.mu.Unlock()
	c := countsOf(r, b.weight)
	var code uint16
	if c.Refused > 0 {
		code = b.codes.number(r.Code)
	}
	for _, ring := range [...]*ring{b.minutes, b.hours} {
		bucket := ring.at(r.Time, now)
		if bucket == nil {
			continue
		}
		bucket.counts.add(&c)
		switch {
		case c.Refused > 0:
			bucket.refused[code]++
		case c.Calls > 0 && r.Code != audit.CodeInterrupted: // how long that took is not known
			bucket.latency[latency]++
		}
	}
	if c.Acts > 0 {
		return
	}
	call := b.remembered(r)
	b.connections.note(r.Connection, call, &c, now, live)
	b.clients.note(r.Client, call, &c, now, live)
}
