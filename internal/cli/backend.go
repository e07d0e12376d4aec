package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

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

// openStore opens the store at an address, and makes it where there is none.
func (c *Config) openStore(ctx context.Context, at storeAddress, b backend) (tokenstore.Store, error) {
	if !at.shared() {
		return bolt.Open(ctx, bolt.Options{Path: c.storeFile(), AEAD: b.aead, Now: b.now, LockTimeout: b.lockTimeout})
	}
	o, err := c.etcdOptions(at)
	if err != nil {
		return nil, err
	}
	o.AEAD, o.Now, o.Logger = b.aead, b.now, b.logger
	return etcd.Open(ctx, o)
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

// checkStore is the check of /readyz. A store in etcd that is away is no reason not to be sent
// calls, as long as they go on.
func (f *foundation) checkStore(ctx context.Context) error {
	shared, ok := f.store.(*etcd.Store)
	if !ok {
		// Any read will do: it goes through to the file.
		_, err := f.store.IssuePublished(ctx, "none", "0")
		return err
	}
	if err := shared.Usable(); err != nil {
		return err
	}
	if confirmed, err := shared.Confirmed(); err != nil {
		return admin.Degraded(fmt.Errorf("last confirmed %s ago: %w", time.Since(confirmed).Round(time.Second), err))
	}
	return nil
}
