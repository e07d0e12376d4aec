package activity

import (
	"strings"
	"time"

	"jiragate/gateway/audit"
)

// maxParties bounds the connections that are known, and the clients.
const maxParties = 200_000

// A party's calls are counted by spans of two hours, of which it takes twelve and the
// present one for a day.
const (
	span  = 2 * 60 * 60 // seconds
	spans = 24*60*60/span + 1
)

// Call is the last call of a connection or client.
type Call struct {
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`      // UTC
	Operation string    `json:"operation"` // empty if it is not known
	Decision  string    `json:"decision"`
	Code      string    `json:"code"`
	Status    int       `json:"status"`
}

// Recent is what a connection or client did lately. The counts are of the last 24
// hours: of the present two hours of UTC and the twelve times two before, so up to two
// hours more.
type Recent struct {
	Last    Call   `json:"last"`
	Calls   uint64 `json:"calls"`
	Refused uint64 `json:"refused"`
	Failed  uint64 `json:"failed"`
}

// Connection tells what the connection with this id did lately; ok is false if nothing
// is known of it.
func (b *Board) Connection(id string) (r Recent, ok bool) { return b.recent(b.connections, id) }

// Client is [Board.Connection] for a client.
func (b *Board) Client(name string) (r Recent, ok bool) { return b.recent(b.clients, name) }

func (b *Board) recent(of *roster, name string) (Recent, bool) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	p := of.parties[name]
	if p == nil {
		return Recent{}, false
	}
	l := p.last
	r := Recent{Last: Call{
		Seq: l.seq, Time: time.UnixMicro(l.micros).UTC(), Operation: b.words.text(l.operation),
		Decision: audit.DecisionDeny, Code: b.words.text(l.code), Status: int(l.status),
	}}
	if l.allowed {
		r.Last.Decision = audit.DecisionAllow
	}
	present := floorDiv(now.Unix(), span)
	for _, s := range p.day {
		if int64(s.span) > present-spans && int64(s.span) <= present {
			r.Calls += uint64(s.calls)
			r.Refused += uint64(s.refused)
			r.Failed += uint64(s.failed)
		}
	}
	return r, true
}

// lastCall is a [Call] as it is kept.
type lastCall struct {
	seq             uint64
	micros          int64
	operation, code uint16
	status          uint16
	allowed         bool
}

func (b *Board) remembered(r *audit.Record) lastCall {
	return lastCall{
		seq: r.Seq, micros: r.Time.UnixMicro(), operation: b.words.number(r.Operation), code: b.words.number(r.Code),
		status: uint16(min(max(r.Status, 0), 999)), allowed: r.Decision == audit.DecisionAllow,
	}
}

// party is a connection or a client.
type party struct {
	name          string
	before, after *party // less and more recently active, in one list
	live          bool   // which
	last          lastCall
	day           [spans]spanCounts
}

type spanCounts struct {
	span                   int32 // since 1970
	calls, refused, failed uint32
}

// roster knows a bounded number of parties. Those that were active since the start are
// in one list, those that the log alone tells of in another: they go first.
type roster struct {
	limit      int
	parties    map[string]*party
	live, past list
}

// list is in the order of activity.
type list struct{ least, most *party }

func newRoster(limit int) *roster {
	return &roster{limit: limit, parties: make(map[string]*party)}
}

// note adds a call of the party of this name.
func (o *roster) note(name string, c lastCall, counts *Counts, now time.Time, live bool) {
	if name == "" {
		return
	}
	p := o.parties[name]
	switch {
	case p == nil:
		if p = o.join(name, live); p == nil {
			return
		}
	case live || !p.live:
		o.list(p.live).remove(p)
		p.live = live
		o.list(live).add(p)
	}
	if c.seq >= p.last.seq {
		p.last = c
	}
	p.count(c.micros, counts, now)
}

// join makes room for a new party, and returns nil where all others were active more
// recently.
func (o *roster) join(name string, live bool) *party {
	if len(o.parties) >= o.limit {
		least := o.past.least
		if least == nil && live {
			least = o.live.least
		}
		if least == nil {
			return nil
		}
		o.drop(least)
	}
	p := &party{name: strings.Clone(name), live: live} // the name may be part of a line
	o.parties[p.name] = p
	o.list(live).add(p)
	return p
}

func (o *roster) drop(p *party) {
	o.list(p.live).remove(p)
	delete(o.parties, p.name)
}

func (o *roster) list(live bool) *list {
	if live {
		return &o.live
	}
	return &o.past
}

func (l *list) add(p *party) {
	p.before, p.after = l.most, nil
	if l.most == nil {
		l.least = p
	} else {
		l.most.after = p
	}
	l.most = p
}

func (l *list) remove(p *party) {
	if p.before == nil {
		l.least = p.after
	} else {
		p.before.after = p.after
	}
	if p.after == nil {
		l.most = p.before
	} else {
		p.after.before = p.before
	}
}

func (p *party) count(micros int64, c *Counts, now time.Time) {
	unit, present := floorDiv(micros, span*1_000_000), floorDiv(now.Unix(), span)
	if unit <= present-spans || unit > present {
		return
	}
	s := &p.day[modulo(unit, spans)]
	if int64(s.span) != unit {
		*s = spanCounts{span: int32(unit)}
	}
	s.calls += uint32(c.Calls)
	s.refused += uint32(c.Refused)
	s.failed += uint32(c.Failed)
}
