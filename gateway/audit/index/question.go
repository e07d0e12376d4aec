package index

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"jiragate/gateway/audit"
)

// maxGrams is how many hashes of a text are looked for; more do not narrow it further.
const maxGrams = 32

// question is a filter, prepared for many segments.
type question struct {
	audit.Filter
	values [len(fields)]string
	grams  []uint64
}

func newQuestion(f audit.Filter) *question {
	q := &question{Filter: f, values: valuesOf(f.Connection, f.Client, f.Operation, f.Decision, f.Code, f.Status)}
	grams(strings.ToLower(f.Text), func(h uint64) {
		if len(q.grams) < maxGrams {
			q.grams = append(q.grams, h)
		}
	})
	return q
}

// choose finds the blocks of a segment that can answer q, as [audit.Chooser] says.
func (q *question) choose(ctx context.Context, tx *sql.Tx, dir, name string) ([]audit.Block, error) {
	s, err := findSegment(ctx, tx, dir, name)
	if err != nil {
		return nil, err
	}
	list := newCandidates(upTo(s.blocks, q.Before))
	for i := range list {
		list[i].narrowTime(&q.Filter)
		if q.Before > 0 && list[i].last >= q.Before {
			list[i].sure = 0
		}
	}
	for i, value := range q.values {
		if value == "" {
			continue
		}
		counts, err := s.counts(ctx, tx, fields[i], func(v []byte) bool { return string(v) == value })
		if err != nil {
			return nil, err
		}
		for n := range list {
			list[n].narrow(counts[n])
		}
	}
	if q.Kind != "" {
		acts, err := s.counts(ctx, tx, "operation", isAct)
		if err != nil {
			return nil, err
		}
		for n := range list {
			if q.Kind != audit.KindAct {
				acts[n] = list[n].records - acts[n]
			}
			list[n].narrow(acts[n])
		}
	}
	if q.Text != "" {
		for n := range list {
			list[n].sure = 0
		}
		if err := s.narrowText(ctx, tx, q.grams, list); err != nil {
			return nil, err
		}
	}
	return chosen(list, q.Limit), nil
}

func isAct(operation []byte) bool {
	r := audit.Record{Operation: string(operation)}
	return r.IsAct()
}

// upTo leaves out the blocks behind the one in which the record before is, or a later
// one; none if before is 0.
func upTo(blocks []block, before uint64) []block {
	for i := range blocks {
		if before > 0 && blocks[i].last >= before {
			return blocks[:i+1]
		}
	}
	return blocks
}

// candidate is a block with what is known of the answer in it.
type candidate struct {
	*block
	possible bool // some record may be let through
	sure     int  // at least so many are, less those that are only in some of the lists: may be negative
}

func newCandidates(blocks []block) []candidate {
	list := make([]candidate, len(blocks))
	for i := range blocks {
		b := &blocks[i]
		list[i] = candidate{b, b.records > 0, b.records}
	}
	return list
}

func (c *candidate) narrowTime(f *audit.Filter) {
	since, until := f.Since, f.Until
	if !since.IsZero() && c.to.Before(since) || !until.IsZero() && !c.from.Before(until) {
		c.possible = false
	}
	if !since.IsZero() && c.from.Before(since) || !until.IsZero() && !c.to.Before(until) {
		c.sure = 0
	}
}

// narrow says that count of the records have a value that is asked for.
func (c *candidate) narrow(count int) {
	c.possible = c.possible && count > 0
	c.sure -= c.records - count
}

// chosen gives the blocks to read. With a limit, those before the last that are sure
// to have enough are not needed.
func chosen(list []candidate, limit int) []audit.Block {
	var blocks []audit.Block
	sure := 0
	for _, c := range slices.Backward(list) {
		if limit > 0 && sure >= limit {
			break
		}
		if c.possible || c.damaged {
			blocks = append(blocks, c.Block)
		}
		if c.possible {
			sure += max(c.sure, 0)
		}
	}
	slices.Reverse(blocks)
	return blocks
}
