package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/egress/register"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// Past is a data directory in which nothing has happened yet, open to whoever makes
// up what did: see [WritePast].
type Past struct {
	Store    tokenstore.Store
	Register *register.Register
	Audit    *audit.Log
	Policy   *policy.Policy // in force from the beginning
}

// WritePast makes the data directory that c names, as the first start of a gateway
// would, and has write fill it before any gateway runs. now is the clock of the store
// and of the log, safe for concurrent use, which write moves. The keys are those that
// the gateway then uses: what was made up verifies like anything else.
//
// It is for demonstrations. No command calls it, and it refuses a directory with
// anything in it (fs.ErrExist), so that nothing made up ever gets into a log of calls.
func WritePast(ctx context.Context, c Config, now func() time.Time, write func(context.Context, Past) error) (err error) {
	entries, err := os.ReadDir(c.DataDir)
	switch {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("making up a past in %s: %w: it isn't empty", c.DataDir, fs.ErrExist)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("making up a past: %w", err)
	}
	live, err := openPolicy(c.PolicyFile)
	if err != nil {
		return err
	}
	f, err := openFoundationAt(ctx, c, commandLockTimeout, slog.New(slog.DiscardHandler), now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	key, err := f.auditKey.open()
	if err != nil {
		return err
	}
	options := c.auditOptions(key, slog.New(slog.DiscardHandler))
	options.Now = now
	log, err := audit.Open(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	p := live.current.Load()
	if err := keepPolicy(c, p); err != nil {
		return err
	}
	return write(ctx, Past{Store: f.store, Register: f.register, Audit: log, Policy: p})
}
