package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/keyset"
)

const keysPath = "/v1/keys"

func newKey(a *app) *cobra.Command {
	return group("key", "Key: the master keyset that seals the store and the CA key",
		newKeyInit(a),
		newKeyList(a),
		newKeyRotate(a),
		newKeyRewrap(a),
	)
}

func newKeyInit(a *app) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the master keyset, or bring it from another place",
		Long: `Make the master keyset, as the gateway does at its first start: in the file that JIRAGATE_KEY_URI
names, or, where that names a key of a key management service, in keyset.json of the data directory,
encrypted by that key. Keep a copy of it apart from the backups of the store: without it they are
lost, and with it they are open.

With --from, no new keys are made: the keyset moves from where that key URI says. The gateway must be
stopped. Destroy the old one when you have seen that the gateway starts.`,
		Example: `  jiragate key init
  mv data/keyset.json old.json
  JIRAGATE_KEY_URI=aws-kms://arn:aws:kms:... jiragate key init --from file:old.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			place, err := a.newKeysetPlace()
			if err != nil {
				return err
			}
			o := keyset.Options{Create: true, EncryptedFile: a.config.keysetFile()}
			if from != "" {
				o.From, err = a.oldKeyset(cmd.Context(), from)
			} else {
				err = a.nothingSealed(cmd.Context(), place)
			}
			if err != nil {
				return err
			}
			return a.record(cmd.Context(), "admin.key.init", func() error {
				k, err := keyset.Open(cmd.Context(), a.config.keyURI(), o)
				if err != nil {
					return err
				}
				return a.printf("the keyset is in %s; its primary key is %d\n", escapeText(place), k.PrimaryKeyID())
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "key URI of the keyset to bring: file:PATH, env:NAME, or that of a KMS key under which keyset.json is encrypted")
	return cmd
}

// newKeysetPlace is the file in which a keyset is to be made, where there is none
// yet.
func (a *app) newKeysetPlace() (string, error) {
	if strings.HasPrefix(a.config.keyURI(), "env:") {
		return "", hint(fmt.Errorf("a keyset in an environment variable cannot be made here"),
			"make it in a file, with JIRAGATE_KEY_URI=file:PATH, and put its content into the variable")
	}
	place := a.config.keysetPlace()
	if err := prepareDataDir(a.config.DataDir); err != nil {
		return "", err
	}
	if there, err := exists(place); err != nil {
		return "", err
	} else if there {
		return "", fmt.Errorf("there is a keyset in %s already", place)
	}
	return place, nil
}

// keysetPlace is the file of the keyset, in clear or encrypted by a KMS key.
func (c *Config) keysetPlace() string {
	if place, isFile := strings.CutPrefix(c.keyURI(), "file:"); isFile {
		return place
	}
	return c.keysetFile()
}

// nothingSealed refuses new keys where old ones have sealed something.
func (a *app) nothingSealed(ctx context.Context, place string) error {
	sealed, err := anythingSealed(ctx, a.config)
	if err == nil && sealed {
		err = hint(fmt.Errorf("%s was sealed under a keyset that is not in %s, and a new one would not open it", a.config.DataDir, place),
			"put the keyset back, set JIRAGATE_KEY_URI to where it is, or bring it with --from")
	}
	return err
}

// oldKeyset opens the keyset that is to be brought, and makes sure that it opens
// what there is.
func (a *app) oldKeyset(ctx context.Context, from string) (*keyset.Live, error) {
	old, err := keyset.Open(ctx, from, keyset.Options{EncryptedFile: a.config.keysetFile()})
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	there, err := a.config.storeThere(ctx)
	if err != nil || !there {
		return old, err
	}
	store, err := a.config.openStore(ctx, backend{aead: old, lockTimeout: commandLockTimeout, logger: a.logger(slog.LevelWarn)})
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	return old, store.Close()
}

func newKeyList(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys of the keyset, and how much is sealed under each",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var keys []admin.Key
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodGet, keysPath, nil, &keys)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, keys)
			}
			var rows [][]string
			for _, k := range keys {
				status := strings.ToLower(k.Status)
				if k.Prepared {
					status = "prepared"
				}
				rows = append(rows, []string{fmt.Sprint(k.ID), yes(k.Primary), status, strconv.Itoa(k.Records), yes(k.CAKey), yes(k.AuditKey), yes(k.PseudonymKey)})
			}
			return writeTable(a.out, []string{"ID", "PRIMARY", "STATUS", "RECORDS", "CA KEY", "AUDIT KEY", "PSEUDONYM KEY"}, rows)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func newKeyRotate(a *app) *cobra.Command {
	var prepare bool
	var rotation admin.Rotation
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make another key of the keyset primary, which seals from now on",
		Long: `Make the prepared key of the keyset primary or, where none is prepared, a new one. It seals from now on;
the old keys still open what they sealed. Copy the keyset afterwards: backups that are made from now on
need the new one. Then seal everything anew with key rewrap.

Gateways that share a store need the key before one of them seals under it: prepare it, copy the keyset
to each, and jiragate reload there. Then rotate on one, copy and reload again; until a gateway has that
keyset, it seals under the old key, and opens what is under either.`,
		Example: `  jiragate key rotate --prepare
  jiragate key rotate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if prepare {
				return a.prepareKey(cmd.Context())
			}
			body, err := json.Marshal(rotation)
			if err != nil {
				return err
			}
			var rotated admin.Rotated
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, keysPath+"/rotate", body, &rotated)
			})
			if err != nil {
				return err
			}
			err = a.printf("the primary key is %d now; jiragate key rewrap seals under it what the old keys have sealed\n", rotated.Primary)
			if err == nil && a.config.Store.shared() {
				err = a.printf("before that, copy %s to every gateway that shares the store, and jiragate reload there\n", escapeText(a.config.keysetPlace()))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&prepare, "prepare", false, "only add the key, for it to be copied to every gateway first; the next key rotate makes it primary")
	cmd.Flags().BoolVar(&rotation.AtOnce, "at-once", false, "make a new key primary that was not prepared, although gateways may share the store: where this is the only one")
	cmd.MarkFlagsMutuallyExclusive("prepare", "at-once")
	return cmd
}

// prepareKey adds a key, and says how it becomes the primary one.
func (a *app) prepareKey(ctx context.Context) error {
	var prepared admin.KeyPrepared
	err := a.withSession(ctx, existingStore, func(s *session) error {
		return s.call(ctx, http.MethodPost, keysPath+"/prepare", nil, &prepared)
	})
	if err != nil {
		return err
	}
	return a.printf(`key %d is prepared; nothing is sealed under it yet
1. copy %s to every gateway that shares the store, and jiragate reload there
2. jiragate key rotate on one of them makes it the primary key
3. copy the keyset from there and jiragate reload again, then jiragate key rewrap on each
`, prepared.ID, escapeText(a.config.keysetPlace()))
}

func newKeyRewrap(a *app) *cobra.Command {
	var drop bool
	var request admin.DropKeys
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Seal everything anew under the primary key",
		Long: `Seal everything anew that is not under the primary key: each credential under a new data key, some at
a time, while calls go on; and the keys of the CA, of audit and of pseudonyms. It can be interrupted and run again.

With --drop-old-keys, the keys under which nothing is left are removed from the keyset. Backups of the
store that were made before do not open then. A prepared key stays. Gateways that share a store must all
have the new primary key by then, from a keyset that was copied and a jiragate reload on each: say so with
--all-gateways-reloaded. Each drops the old keys from its own copy, after its own rewrap.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			var dropped admin.Dropped
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				for left := -1; left != 0; {
					var r admin.Rewrapped
					if err := s.call(cmd.Context(), http.MethodPost, keysPath+"/rewrap", nil, &r); err != nil {
						return err
					}
					if left = r.Left; left > 0 {
						a.say("", strconv.Itoa(left)+" records are left")
					}
				}
				if !drop {
					return nil
				}
				return s.call(cmd.Context(), http.MethodPost, keysPath+"/drop", body, &dropped)
			})
			if err != nil {
				return err
			}
			if err := a.printf("everything is sealed under the primary key\n"); err != nil || !drop {
				return err
			}
			return a.printf("%d old keys are dropped\n", len(dropped.IDs))
		},
	}
	cmd.Flags().BoolVar(&drop, "drop-old-keys", false, "remove the old keys from the keyset afterwards")
	cmd.Flags().BoolVar(&request.AllGatewaysReloaded, "all-gateways-reloaded", false, "with --drop-old-keys: no gateway that shares the store seals under an old key any more")
	return cmd
}
