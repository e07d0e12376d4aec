package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/migration"
)

func newStoreMigrate(a *app) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "migrate --from ADDRESS --to ADDRESS",
		Short: "Move the store to another place; every gateway of it must be stopped",
		Long: `Move the store to another place: from a file into etcd, or back, or to another file or prefix. Addresses
are those of JIRAGATE_STORE; how etcd is reached the other JIRAGATE_STORE_ variables say. The keyset
stays the same.

Every record is read back and compared before the new store can be opened. The old one stays, but is
not opened any more. If the command is interrupted, run it again: it goes on where it stopped. Set
JIRAGATE_STORE to the new address afterwards.`,
		Example: `  jiragate store migrate --from bolt:data/store.db --to etcd://etcd-1,etcd-2,etcd-3/jiragate`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, err := migrationAddress("from", from)
			if err != nil {
				return err
			}
			target, err := migrationAddress("to", to)
			if err != nil {
				return err
			}
			if err := apart(source, target); err != nil {
				return err
			}
			if err := prepareDataDir(a.config.DataDir); err != nil {
				return err
			}
			var done migrated
			err = a.record(cmd.Context(), "admin.store.migrate", func() (err error) {
				done, err = migrateStore(cmd.Context(), a.config, source, target)
				return err
			})
			if err != nil {
				return migrationHint(err)
			}
			if err := a.printMigrated(done); err != nil {
				return err
			}
			return a.printf("the store is moved: set JIRAGATE_STORE=%s\n", escapeText(target.String()))
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "where the store is: bolt:PATH or etcd://HOST,.../PREFIX (required)")
	cmd.Flags().StringVar(&to, "to", "", "where it goes, in the same form (required)")
	return cmd
}

func migrationAddress(flag, s string) (storeAddress, error) {
	if s == "" {
		return storeAddress{}, usage("--%s is needed: bolt:PATH or etcd://HOST,.../PREFIX", flag)
	}
	at, err := parseStoreAddress(s)
	if errors.Is(err, errForm) {
		err = errors.New("it must be bolt:PATH or etcd://HOST,.../PREFIX")
	}
	if err != nil {
		return at, usage("--%s: %v", flag, err)
	}
	if at.file != "" { // marks must say it whatever the directory
		at.file, err = filepath.Abs(at.file)
	}
	return at, err
}

// apart refuses a place that is the other one, or within it.
func apart(a, b storeAddress) error {
	inside := func(a, b storeAddress) bool { return strings.HasPrefix(a.prefix+"/", b.prefix+"/") }
	switch {
	case a.String() == b.String(), !a.shared() && !b.shared() && sameFile(a.file, b.file):
		return usage("--from and --to are the same")
	case a.shared() && b.shared() && a.prefix != b.prefix && (inside(a, b) || inside(b, a)):
		return usage("one of the prefixes is below the other, so that deleting the one would delete both: choose another prefix")
	}
	return nil
}

func migrationHint(err error) error {
	_, hinted := errors.AsType[*hinted](err)
	switch {
	case hinted:
		return err
	case errors.Is(err, tokenstore.ErrUnavailable): // at its end, too, when it is nowhere for a while
		return hint(err, "run the same command again, which goes on where it stopped")
	case errors.Is(err, context.Canceled):
		return hint(err, "the store is where it was; run the same command again, which goes on where it stopped")
	case errors.Is(err, tokenstore.ErrLocked):
		return hint(err, "stop every gateway of the store first")
	case errors.Is(err, tokenstore.ErrWrongKey):
		return hint(err, "JIRAGATE_KEY_URI must name the keyset of the store")
	}
	return err
}

func (a *app) printMigrated(m migrated) error {
	if m.Resumed > 0 {
		if err := a.printf("went on after %d records that were there already\n", m.Resumed); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, c := range m.Counts {
		rows = append(rows, []string{string(c.Bucket), strconv.Itoa(c.Records)})
	}
	if len(rows) > 0 {
		if err := writeTable(a.out, []string{"BUCKET", "RECORDS VERIFIED"}, rows); err != nil {
			return err
		}
	}
	if m.kept == "" {
		return nil
	}
	return a.printf("the store that was there, and had been moved away, is now %s\n", escapeText(m.kept))
}

// migrated is what a migration did.
type migrated struct {
	migration.Result
	kept string // where the file is that was replaced, if there was one
}

// migrateStore moves the store under the keyset of c.
func migrateStore(ctx context.Context, c Config, from, to storeAddress) (done migrated, err error) {
	keys, err := openKeyset(ctx, c, false, nil)
	if err != nil {
		return done, hint(fmt.Errorf("JIRAGATE_KEY_URI: %w", err), "the store opens only under its keyset: put that back first")
	}
	source, closeSource, err := c.migrationSource(ctx, from, keys)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	o := migration.Options{From: source, FromAddress: from.String(), ToAddress: to.String(), AEAD: keys}
	if !to.shared() {
		if err := ownStore(to.file); err != nil {
			return done, err
		}
		file := bolt.NewTarget(bolt.Options{Path: to.file, AEAD: keys, LockTimeout: commandLockTimeout})
		defer func() { err = errors.Join(err, file.Close()) }()
		o.To = file
		done.Result, err = migration.Run(ctx, o)
		done.kept = file.Kept()
		return done, err
	}
	options, err := c.etcdOptions(to)
	if err != nil {
		return done, err
	}
	cluster, err := etcd.OpenTarget(options)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	o.To = cluster
	done.Result, err = migration.Run(ctx, o)
	return done, err
}

// migrationSource opens the store that is moved.
func (c *Config) migrationSource(ctx context.Context, at storeAddress, keys tink.AEAD) (migration.Source, func() error, error) {
	if !at.shared() {
		if err := ownStore(at.file); err != nil {
			return nil, nil, err
		}
		s, err := bolt.OpenSource(ctx, bolt.Options{Path: at.file, AEAD: keys, LockTimeout: commandLockTimeout})
		if errors.Is(err, fs.ErrNotExist) {
			err = hint(err, "--from must name the file of the store")
		}
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	o, err := c.etcdOptions(at)
	if err != nil {
		return nil, nil, err
	}
	o.AEAD = keys
	s, err := etcd.OpenSource(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}
