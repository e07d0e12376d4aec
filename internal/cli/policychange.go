package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/audit"
	"jiragate/policy"
)

// Names in the records of policies that come into force, or don't.
const (
	operationLoadPolicy = reporting.OperationLoadPolicy
	codePolicyInvalid   = "policy_invalid"
)

// recordPolicy puts a policy on record with which the gateway starts, unless the
// records show that it was in force before. A first start without rules changes
// nothing.
func (s *Server) recordPolicy(ctx context.Context) error {
	p := s.policy.current.Load()
	last, any := lastPolicy(s.config.auditDir())
	if last == p.SHA256() || !any && s.config.PolicyFile == "" {
		return nil
	}
	loading, err := s.journal(p).Begin(act.With(ctx, processActor()), s.policyRecord())
	if err != nil {
		return fmt.Errorf("starting with another policy than before: %w", err)
	}
	loading.End(http.StatusOK, "")
	return nil
}

func (s *Server) policyRecord() audit.Record {
	return audit.Record{Operation: operationLoadPolicy, Path: s.config.PolicyFile}
}

// journal writes what the gateway does by itself, under the policy p.
func (s *Server) journal(p *policy.Policy) *act.Journal {
	return &act.Journal{
		Open:         func() (act.Recorder, error) { return s.engine.audit, nil },
		PolicySHA256: p.SHA256,
		ClientAddr:   s.foundation.privacy.Address,
		Now:          time.Now,
		Logger:       s.log,
	}
}

// recentRecords are looked at first for the policy in force: most name it.
const recentRecords = 100

// lastPolicy is the policy that the newest record names which names one, "" if
// none does; any says whether there are records at all.
func lastPolicy(dir string) (sha256 string, any bool) {
	for limit := recentRecords; ; limit *= 10 {
		found := 0
		for entry, err := range audit.Query(dir, audit.Filter{Limit: limit}) {
			found++
			// What can't be read is for audit verify to report. A policy that was
			// refused was not in force; its record names the one that stayed.
			if err == nil && entry.Record.PolicySHA256 != "" {
				sha256 = entry.Record.PolicySHA256
			}
		}
		if sha256 != "" || found < limit {
			return sha256, found > 0
		}
	}
}
