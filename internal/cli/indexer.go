package cli

import (
	"context"
	"time"

	"jiragate/gateway/audit/index"
)

// indexInterval is how often the gateway looks for segments that were closed.
const indexInterval = time.Minute

// keepIndex keeps the index of the audit log up to date until ctx ends, so that no
// question has to wait for it. Without it, questions are answered all the same.
func (s *Server) keepIndex(ctx context.Context) {
	x, err := index.Open(index.Options{Path: s.config.auditIndexFile(), Dir: s.config.auditDir(), Logger: s.log})
	if err != nil {
		s.log.Warn("the audit log is not indexed; audit query reads more of it", "error", err, "hint", "look at the disk; jiragate audit reindex makes the index anew")
		return
	}
	s.reader.index.Store(x)
	for {
		if _, err := x.Update(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the audit log is not indexed any further; it is tried again", "error", err, "hint", "if it goes on, jiragate audit reindex makes the index anew")
		}
		select {
		case <-ctx.Done():
			s.reader.index.Store(nil)
			if err := x.Close(); err != nil {
				s.log.Warn("the index of the audit log did not close", "error", err, "hint", "nothing to do: it is checked at the next start")
			}
			return
		case <-time.After(indexInterval):
		}
	}
}
