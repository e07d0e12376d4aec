package cli

import (
	"context"
	"errors"
	"iter"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/fleet"
)

// followInterval is how often a log that is followed is looked at.
const followInterval = time.Second

// followRecords writes the records that past gives, and then those that the logs get,
// until ctx ends, which is no error. What several logs get between two looks at them is
// merged.
func (a *app) followRecords(ctx context.Context, logs []fleet.Log, f audit.Filter, past func() (iter.Seq2[audit.Entry, error], func() error), w recordWriter) error {
	// What is written from here on is for the tail, whatever the past shows of it.
	tails, seen := map[string]*audit.Tail{}, map[string]uint64{}
	for _, l := range logs {
		tail, err := audit.NewTail(l.Dir)
		if err != nil {
			return auditError(err)
		}
		tails[l.Dir], seen[nodeOf(logs, l)] = tail, tail.Last()
	}
	next := func(l fleet.Log) iter.Seq2[audit.Entry, error] { return tails[l.Dir].Next(f) }
	records, done := past()
	err := errors.Join(a.writeRecords(upTo(seen, records), w), done())
	damaged := errors.Is(err, errDamagedLines)
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err != nil && !errors.Is(err, errDamagedLines) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
			err = a.writeRecords(merged(logs, 0, next), w)
			damaged = damaged || errors.Is(err, errDamagedLines)
		}
	}
	if damaged {
		return hint(errDamagedLines, "jiragate audit verify names the first one that fails")
	}
	return nil
}

// nodeOf is what an entry of one of the logs has as its Node.
func nodeOf(logs []fleet.Log, l fleet.Log) string {
	if len(logs) == 1 {
		return ""
	}
	return l.Node
}

// upTo leaves out records with a later seq than the last one seen of their node.
func upTo(seen map[string]uint64, records iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for e, err := range records {
			if err == nil && e.Seq > seen[e.Node] {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
