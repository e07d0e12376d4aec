package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

func newStore(a *app) *cobra.Command {
	return group("store", "Store: backup, restore, check, and moving it", newStoreBackup(a), newStoreRestore(a), newStoreCheck(a), newStoreMigrate(a))
}

func newStoreBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the store, while the gateway runs or not",
		Long: `Write a consistent copy of the store to a new file of mode 0600, or to standard output where FILE
is -. Credentials are sealed in it as they are in the store; the keyset is not in it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[0]
			if path != "-" {
				if there, err := exists(path); err != nil {
					return err
				} else if there {
					return fmt.Errorf("%s exists already: choose another name", path)
				}
			}
			var size int64
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				copyTo := func(w io.Writer) (err error) {
					size, err = s.stream(cmd.Context(), "/v1/store/backup", w)
					return err
				}
				if path == "-" {
					return copyTo(a.out)
				}
				return newPrivateFile(path, copyTo)
			})
			if err != nil || path == "-" {
				return err
			}
			return a.printf("%d bytes are in %s\n", size, escapeText(path))
		},
	}
}

func newStoreCheck(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that each record of the store opens and that they fit together",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var result admin.StoreCheck
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, "/v1/store/check", nil, &result)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, result)
			}
			return writeFields(a.out, [][2]string{
				{"result", result.Status},
				{"connections", strconv.Itoa(result.Connections)},
				{"clients", strconv.Itoa(result.Clients)},
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func newStoreRestore(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the store; the gateway must be stopped",
		Long: `Put a backup (a file, or standard input where FILE is -) in the place of the store, after it has
been checked under the keyset. The store that it replaces stays beside it under another name.

Each OAuth connection of the backup is put into the state needs_reauthorisation: Atlassian replaces
refresh tokens as they are used, and using a replaced one can end the whole grant. If the backup
is newer than the last refresh, connection enable makes a connection active again; otherwise give
it a new credential.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.config.Store.shared() {
				return hint(fmt.Errorf("a backup is a file, and cannot be restored into %s at once", a.config.Store),
					"restore it into a file, with JIRAGATE_STORE=bolt:FILE, and move that with jiragate store migrate --from bolt:FILE --to etcd://HOST,.../PREFIX, to a prefix below which nothing is")
			}
			in := a.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close() // only read from
				in = f
			}
			if err := prepareDataDir(a.config.DataDir); err != nil {
				return err
			}
			var done restored
			err := a.record(cmd.Context(), "admin.store.restore", func() (err error) {
				done, err = restoreStore(cmd.Context(), a.config, in)
				return err
			})
			if err != nil {
				return err
			}
			if done.damaged != nil {
				a.warn("the store that was replaced could not be opened: " + done.damaged.Error())
			}
			for _, id := range done.marked {
				a.warn(fmt.Sprintf("connection %s needs a new credential, or connection enable if the backup has its newest refresh token", id))
			}
			if done.replaced != "" {
				if err := a.printf("the store that was replaced is now %s\n", escapeText(done.replaced)); err != nil {
					return err
				}
			}
			return a.printf("the store is restored: %d connections, %d clients\n", done.connections, done.clients)
		},
	}
}
