package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/signer"
)

// auditKey is the key that checkpoints and publications are signed with. It is opened
// once, when it is first needed, so that all who use it see its rotation.
type auditKey struct {
	config Config
	sealer signer.Sealer

	mu  sync.Mutex
	key *signer.Key
}

// serve opens the key for the gateway, and makes it where there is none. A log that has
// no name of a node yet gets that of this gateway.
func (k *auditKey) serve() (*signer.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.openAs(checkpoint.Name(string(k.config.Region), string(k.config.Node)))
}

// open opens the key, and makes it where there is none. A key of this region keeps its
// name, whatever node the environment of a command names: only serve gives one.
func (k *auditKey) open() (*signer.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	region, name := string(k.config.Region), checkpoint.Name(string(k.config.Region), string(k.config.Node))
	present, err := k.presentName()
	if err == nil && present == checkpoint.Name(region, checkpoint.Node(present)) {
		name = present
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return k.openAs(name)
}

// presentName is the name of the key that signs; fs.ErrNotExist where there is none.
func (k *auditKey) presentName() (string, error) {
	verifiers, err := signer.Verifiers(k.config.auditKeyFile())
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(verifiers[len(verifiers)-1], "+")
	return name, nil
}

// openAs opens the key of the given name, with mu held.
func (k *auditKey) openAs(name string) (_ *signer.Key, err error) {
	if k.key == nil {
		k.key, err = signer.Open(signer.Options{Path: k.config.auditKeyFile(), Sealer: k.sealer, Name: name})
	}
	return k.key, err
}

// existing is the key if there is one, whatever region and node it is named for; nil
// otherwise. A command must not make one that the gateway can't use.
func (k *auditKey) existing() (*signer.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	name, err := k.presentName()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return k.openAs(name)
}

// reseal seals the private keys anew under the keyset's primary key.
func (k *auditKey) reseal() (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key.Reseal()
	}
	return signer.Reseal(k.config.auditKeyFile(), k.sealer)
}

func (k *auditKey) sealedUnder() ([]uint32, error) {
	ids, ok, err := signer.SealedUnder(k.config.auditKeyFile())
	if err == nil && !ok {
		err = fmt.Errorf("%s: a key in it is not sealed as the keyset seals, so that it can't be told which of its keys it needs", k.config.auditKeyFile())
	}
	return ids, err
}

// auditOptions are those of the audit log. key is nil where nobody can open the
// audit key: then what is written gets its checkpoint from the gateway, later.
func (c *Config) auditOptions(key *signer.Key, logger *slog.Logger) audit.Options {
	o := audit.Options{
		Dir:         c.auditDir(),
		Sync:        c.AuditSync,
		SegmentSize: int64(c.AuditSegmentSize),
		Retention:   time.Duration(c.AuditRetention),
		Logger:      logger,
	}
	if key != nil {
		o.Signer = key
	}
	return o
}
