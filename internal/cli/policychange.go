package cli

import (
	"context"
	"net/http"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
)

// Names in the records of policies that come into force, or don't.
const (
	operationLoadPolicy = "admin.policy.load"
	codePolicyInvalid   = "policy_invalid"
)

// ReloadPolicy reads the policy file again. If it is broken, the policy stays
// as it was and the error says why. Either is on record.
func (s *Server) ReloadPolicy() error {
	ctx := context.Background()
	who := processActor()
	who.Addr = "signal:SIGHUP"
	if err := s.policy.reload(); err != nil {
		s.journal().Refuse(act.With(ctx, who), s.policyRecord(), http.StatusBadRequest, codePolicyInvalid)
		return err
	}
	p := s.policy.current.Load()
	s.log.Info("policy reloaded", "version", p.Version(), "sha256", p.SHA256())
	s.recordPolicy(ctx, who)
	return nil
}

// recordPolicy puts a change of the policy on record, unless the records show
// already that this policy is in force. Each call's own record names its policy in
// any case, so that a log that can't be written is for calls to refuse.
func (s *Server) recordPolicy(ctx context.Context, who admin.Actor) {
	last := lastPolicy(s.config.auditDir())
	if last == s.policy.current.Load().SHA256() || last == "" && s.config.PolicyFile == "" {
		return
	}
	loading, err := s.journal().Begin(act.With(ctx, who), s.policyRecord())
	if err != nil {
		s.log.Error("the change of the policy is not on record", "error", err)
		return
	}
	loading.End(http.StatusOK, "")
}

func (s *Server) policyRecord() audit.Record {
	return audit.Record{Operation: operationLoadPolicy, Path: s.config.PolicyFile}
}

func (s *Server) journal() *act.Journal {
	return &act.Journal{
		Open:         func() (act.Recorder, error) { return s.engine.audit, nil },
		PolicySHA256: func() string { return s.policy.current.Load().SHA256() },
		Now:          time.Now,
		Logger:       s.log,
	}
}

// recentRecords are looked at for the policy. Most records name it.
const recentRecords = 100

// lastPolicy is the policy that the newest records name, "" if they name none.
func lastPolicy(dir string) (sha256 string) {
	for entry, err := range audit.Query(dir, audit.Filter{Limit: recentRecords}) {
		// What can't be read is for audit verify to report.
		if err == nil && entry.Record.PolicySHA256 != "" {
			sha256 = entry.Record.PolicySHA256
		}
	}
	return sha256
}
