package admin

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"jiragate/gateway/audit"
)

const (
	defaultRecords = 50
	maxRecords     = 500
	// moreForDamage is how many records more are read where lines of the log that are
	// none take their places.
	moreForDamage = 1000
	maxDamaged    = 20
	// maxSeq is of the greatest number that a record has.
	maxSeq = math.MaxInt64
)

// AuditRecords are records of the log, the newest first.
type AuditRecords struct {
	// Records are the lines of the log: see [audit.Record].
	Records []json.RawMessage `json:"records"`
	// Next is what "before" must be to go on; missing at the end of the log.
	Next uint64 `json:"next,omitempty"`
	// Damaged are lines among these records that are no records, the newest first, at
	// most 20 of them.
	Damaged []DamagedLine `json:"damaged,omitempty"`
}

// DamagedLine is a line of the log that is no record.
type DamagedLine struct {
	Segment string `json:"segment"`
	Line    int    `json:"line"` // from 1
	Detail  string `json:"detail"`
}

// listRecords answers with a page of records.
func (a *API) listRecords(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "since", "until", "connection", "client", "operation", "decision", "code", "status", "text", "kind", "before", "limit")
	now := a.o.Now()
	f := audit.Filter{
		Since:  p.time("since", now, time.Time{}),
		Until:  p.time("until", now, time.Time{}),
		Before: p.number("before", 1, maxSeq, 0),
	}
	p.about(&f)
	limit := int(p.number("limit", 1, maxRecords, defaultRecords))
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		p.fail("until: it must be later than since")
	}
	if p.err != nil {
		return p.err
	}
	ctx, done, err := a.ask(r)
	if err != nil {
		return err
	}
	defer done()
	page, err := a.page(ctx, f, limit)
	if err != nil {
		return logProblem(err)
	}
	return writeJSON(w, http.StatusOK, page)
}

// about takes the parameters that streams have, too.
func (p *params) about(f *audit.Filter) {
	f.Connection, f.Client, f.Operation = p.text("connection"), p.text("client"), p.text("operation")
	f.Code, f.Text = p.text("code"), p.text("text")
	f.Status = int(p.number("status", 100, 999, 0))
	f.Decision = oneOf(p, "decision", audit.DecisionAllow, audit.DecisionDeny)
	f.Kind = oneOf(p, "kind", audit.KindCall, audit.KindAct)
}

// page reads the last records up to the limit, and whether there are more.
func (a *API) page(ctx context.Context, f audit.Filter, limit int) (AuditRecords, error) {
	for f.Limit = limit + 1; ; f.Limit += moreForDamage {
		found, err := a.collect(ctx, f)
		switch {
		case err != nil:
			return AuditRecords{}, err
		case len(found.records) > limit:
			found.cut(limit)
			return found.page(true), nil
		case len(found.lines) < f.Limit: // that is all
			return found.page(false), nil
		case f.Limit <= limit+1:
		case len(found.records) == 0:
			return AuditRecords{}, refuse(http.StatusInternalServerError, CodeInternal,
				"more than %d lines of the audit log are no records; jiragate audit verify names the first", moreForDamage)
		default:
			return found.page(true), nil
		}
	}
}

// found are lines of the log, the newest first.
type found struct {
	lines   []foundLine
	records []foundLine
}

type foundLine struct {
	seq    uint64
	raw    []byte
	damage *DamagedLine // nil of a record
}

func (a *API) collect(ctx context.Context, f audit.Filter) (found, error) {
	var all found
	for e, err := range a.o.Log.Query(ctx, f) {
		if defect, ok := errors.AsType[*audit.DefectError](err); ok {
			all.lines = append(all.lines, foundLine{damage: &DamagedLine{defect.Segment, defect.Line, defect.Err.Error()}})
			continue
		}
		if err != nil {
			return found{}, err
		}
		l := foundLine{seq: e.Seq, raw: e.Raw}
		all.lines = append(all.lines, l)
		all.records = append(all.records, l)
	}
	slices.Reverse(all.lines)
	slices.Reverse(all.records)
	return all, nil
}

// cut leaves so many records, and what is between them.
func (l *found) cut(limit int) {
	l.records = l.records[:limit]
	last := l.records[limit-1].seq
	l.lines = l.lines[:1+slices.IndexFunc(l.lines, func(l foundLine) bool { return l.damage == nil && l.seq == last })]
}

func (l *found) page(more bool) AuditRecords {
	p := AuditRecords{Records: make([]json.RawMessage, 0, len(l.records))}
	for _, r := range l.records {
		p.Records = append(p.Records, r.raw)
	}
	for _, line := range l.lines {
		if line.damage != nil && len(p.Damaged) < maxDamaged {
			p.Damaged = append(p.Damaged, *line.damage)
		}
	}
	if more {
		p.Next = l.records[len(l.records)-1].seq
	}
	return p
}
