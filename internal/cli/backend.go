package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/etcd"
)

// backend is how a store is opened.
type backend struct {
	aead        tink.AEAD
	now         func() time.Time
	lockTimeout time.Duration // for a file
	logger      *slog.Logger
}

// opened is a store, and what depends on what keeps it.
type opened struct {
	tokenstore.Store
	// check is that of /readyz.
	check func(context.Context) error
	// confirmed returns when the gateway was last sure to know all that is in the store; nil where
	// that is a file, which nobody else changes.
	confirmed func() time.Time
	// pauses carries pauses among the gateways of the store; nil where there is one.
	pauses gateway.Pauses
	// publish brings checkpoints of the audit log into the store, and published are those of all
	// gateways; nil where there is one.
	publish   func(ctx context.Context, origin string, signed []byte) error
	published admin.PublishedLogs
	// onDuty reports whether this gateway does something that one of those of the store does.
	// Who asks for the first time stands for it from then on.
	onDuty func(duty string) bool
}

// alwaysOnDuty is that of a gateway that has its store to itself.
func alwaysOnDuty(string) bool { return true }

// Duties, of which each region has its own.
const (
	dutyWebhooks = "webhooks" // tells the product of states
	dutyGrants   = "grants"   // looks after grants that nobody uses
)

// onDutyFor reports whether this gateway is on duty for the connections of a region.
func (o *opened) onDutyFor(duty string, r tokenstore.Region) func() bool {
	return func() bool { return o.onDuty(duty + "-" + string(r)) }
}

// openStore opens the store, and makes it where there is none.
func (c *Config) openStore(ctx context.Context, b backend) (*opened, error) {
	if !c.Store.shared() {
		file, err := bolt.Open(ctx, bolt.Options{Path: c.storeFile(), AEAD: b.aead, Now: b.now, LockTimeout: b.lockTimeout})
		if err != nil {
			return nil, err
		}
		return &opened{Store: file, check: func(ctx context.Context) error { return checkFile(ctx, file) }, onDuty: alwaysOnDuty}, nil
	}
	o, err := c.etcdOptions(c.Store)
	if err != nil {
		return nil, err
	}
	o.AEAD, o.Now, o.Logger = b.aead, b.now, b.logger
	shared, err := etcd.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &opened{
		Store: shared, check: func(context.Context) error { return checkShared(shared) },
		confirmed: func() time.Time { at, _ := shared.Confirmed(); return at },
		pauses:    shared, publish: publishTo(shared), published: sharedLogs{shared}, onDuty: shared.OnDuty,
	}, nil
}

// etcdOptions are those that say where a store is and how it is reached.
func (c *Config) etcdOptions(at storeAddress) (o etcd.Options, err error) {
	o = etcd.Options{
		Endpoints: at.endpoints, Prefix: at.prefix, Username: c.StoreUser, Node: string(c.Node),
		Staleness: time.Duration(c.StoreStaleness), Export: bolt.Export,
	}
	if o.TLS, err = c.storeTLS(); err != nil {
		return o, err
	}
	o.Password, err = readSettingSecret("STORE_PASSWORD_FILE", c.StorePasswordFile)
	return o, err
}

// storeThere reports whether the store was made before.
func (c *Config) storeThere(ctx context.Context) (bool, error) {
	if !c.Store.shared() {
		return exists(c.storeFile())
	}
	o, err := c.etcdOptions(c.Store)
	if err != nil {
		return false, err
	}
	return etcd.Exists(ctx, o)
}

// checkFile is the check of a store in a file. Any read will do: it goes through to the file.
func checkFile(ctx context.Context, s tokenstore.Store) error {
	_, err := s.IssuePublished(ctx, "none", "0")
	return err
}

// checkShared is the check of a store in etcd. One that is away is no reason not to be sent
// calls, as long as they go on.
func checkShared(s *etcd.Store) error {
	if err := s.Usable(); err != nil {
		return err
	}
	if confirmed, err := s.Confirmed(); err != nil {
		return admin.Degraded(fmt.Errorf("last confirmed %s ago: %w", time.Since(confirmed).Round(time.Second), err))
	}
	return nil
}
