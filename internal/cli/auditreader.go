package cli

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/index"
)

// auditReader answers questions to the log of this process's data directory: by the
// index while there is one.
type auditReader struct {
	dir   string
	index atomic.Pointer[index.Index] // nil: there is none, or it is closed
}

// query answers as [audit.Query] does, and ends with the error of ctx: between two
// segments, or two answers.
func (r *auditReader) query(ctx context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
	if x := r.index.Load(); x != nil {
		return x.Query(ctx, f)
	}
	return func(yield func(audit.Entry, error) bool) {
		// What isn't wanted any more is no block of a segment.
		choose := func(string) ([]audit.Block, bool) { return nil, ctx.Err() != nil }
		for e, err := range audit.QueryBlocks(r.dir, f, choose) {
			if ctx.Err() != nil {
				break
			}
			if !yield(e, err) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(audit.Entry{}, fmt.Errorf("query the audit log: %w", err))
		}
	}
}

// auditLog is what the admin API reads of the log, as far as no gateway must run.
func (c Config) auditLog(r *auditReader) admin.AuditLog {
	source := c.reportSource()
	return admin.AuditLog{
		Query:  r.query,
		Report: &source,
		Prove: func(seq uint64) (checkpoint.Proof, error) {
			trust, err := c.trust()
			if err != nil {
				return checkpoint.Proof{}, err
			}
			return audit.Prove(c.auditDir(), seq, trust)
		},
		Newest: func() (audit.Signed, error) {
			trust, err := c.trust()
			if err != nil {
				return audit.Signed{}, err
			}
			if trust == nil {
				return audit.Signed{}, audit.ErrNoCheckpoint
			}
			return audit.NewestCheckpoint(c.auditDir(), trust)
		},
	}
}
