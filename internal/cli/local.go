package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"

	"jiragate/certs"
	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
)

// local is what a command needs to do the work of the admin API in this process,
// while no gateway runs. What only some commands need is opened when it is needed.
type local struct {
	config     Config
	foundation *foundation
	policy     *livePolicy
	logger     *slog.Logger
	wayOut     func() (*wayOut, error)

	mu    sync.Mutex
	log   *audit.Log
	grant *oauth.Manager
}

// options are those of the admin API.
func (l *local) options() admin.Options {
	o := adminOptions(l.config, l.policy, l.foundation)
	o.Logger = l.logger
	o.Audit = l.openAudit
	o.Probe = func(ctx context.Context, connection string) (admin.ProbeResult, error) {
		return probeOnce(ctx, l.config, l.foundation, l.policy, l.logger, connection)
	}
	o.CA = newAdminCA(l.config, func() (*certs.Authority, error) { return openRoots(l.config, l.foundation.keys) }, func(change func() error) error { return change() })
	l.grant = newGrants(l.config, oauth.Options{Store: l.foundation.store, Transport: l.grants, Logger: l.logger})
	o.Consenter = l.grant
	o.Egress.Verify = verifyLater(l.wayOut)
	return o
}

// openAudit opens the log that acts are recorded in, once.
func (l *local) openAudit() (act.Recorder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log == nil {
		key, err := l.foundation.auditKey.existing()
		if err != nil {
			return nil, err
		}
		log, err := audit.Open(l.config.auditOptions(key, l.logger))
		if err != nil {
			return nil, err
		}
		if err := keepPolicy(l.config, l.policy.current.Load()); err != nil {
			return nil, errors.Join(err, log.Close())
		}
		l.log = log
	}
	return l.log, nil
}

// grants opens the way out when the first request leaves.
func (l *local) grants(c *tokenstore.Connection) http.RoundTripper {
	w, err := l.wayOut()
	if err != nil {
		return unusable{err}
	}
	return w.grants(c)
}

// close ends the command's use of everything.
func (l *local) close() error {
	var errs []error
	if l.grant != nil {
		errs = append(errs, l.grant.Close(context.Background()))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log != nil {
		errs = append(errs, l.log.Close())
	}
	return errors.Join(append(errs, l.foundation.close())...)
}
