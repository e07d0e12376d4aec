package cli

import (
	"context"
	"errors"
	"net/http"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
)

// codeFailed is in the record of an act that failed without a code of its own.
const codeFailed = "failed"

// record does what changes the data directory past the admin API, with a record
// before and after it. No gateway runs meanwhile.
func (a *app) record(ctx context.Context, operation string, do func() error) (err error) {
	logger := a.logger(0)
	log, err := audit.Open(a.config.auditOptions(nil, logger))
	if errors.Is(err, audit.ErrLocked) {
		return hint(err, "stop the gateway first")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	journal := &act.Journal{
		Open:         func() (act.Recorder, error) { return log, nil },
		PolicySHA256: func() string { return "" }, // none has to do with it
		ClientAddr:   a.localAddress,
		Now:          time.Now,
		Logger:       logger,
	}
	begun, err := journal.Begin(act.With(ctx, processActor()), audit.Record{Operation: operation})
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		begun.End(http.StatusInternalServerError, codeFailed)
		return err
	}
	begun.End(http.StatusOK, "")
	return nil
}

// localAddress is where this process's acts come from as it may be written. There may
// be no keyset for pseudonyms yet, and none is needed.
func (a *app) localAddress(addr string) string {
	masked, _ := a.config.AuditClientAddr.LocalAddress(addr)
	return masked
}
