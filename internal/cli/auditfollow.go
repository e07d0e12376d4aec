package cli

import (
	"context"
	"errors"
	"iter"
	"time"

	"jiragate/gateway/audit"
)

// followInterval is how often a log that is followed is looked at.
const followInterval = time.Second

// followRecords writes the records that past gives, and then those that the log gets,
// until ctx ends, which is no error.
func (a *app) followRecords(ctx context.Context, f audit.Filter, past func() (iter.Seq2[audit.Entry, error], func() error), w recordWriter) error {
	// What is written from here on is for the tail, whatever the past shows of it.
	tail, err := audit.NewTail(a.config.auditDir())
	if err != nil {
		return auditError(err)
	}
	records, done := past()
	err = errors.Join(a.writeRecords(upTo(tail.Last(), records), w), done())
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
			err = a.writeRecords(tail.Next(f), w)
			damaged = damaged || errors.Is(err, errDamagedLines)
		}
	}
	if damaged {
		return hint(errDamagedLines, "jiragate audit verify names the first one that fails")
	}
	return nil
}

// upTo leaves out records with a later seq.
func upTo(last uint64, records iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for e, err := range records {
			if err == nil && e.Seq > last {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
