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

// open opens the key, and makes it where there is none.
func (k *auditKey) open() (*signer.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.openAs("jiragate/" + string(k.config.Region))
}

// openAs is open with mu held.
func (k *auditKey) openAs(name string) (_ *signer.Key, err error) {
	if k.key == nil {
		k.key, err = signer.Open(signer.Options{Path: k.config.auditKeyFile(), Sealer: k.sealer, Name: name})
	}
	return k.key, err
}

// existing is the key if there is one, whatever region it is named for; nil
// otherwise. A command must not make one that the gateway can't use.
func (k *auditKey) existing() (*signer.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	verifiers, err := signer.Verifiers(k.config.auditKeyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(verifiers[0], "+")
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
