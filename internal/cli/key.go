package cli

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
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
	return &cobra.Command{
		Use:   "init",
		Short: "Make the master keyset",
		Long: `Make the master keyset, as the gateway does at its first start: in the file that JIRAGATE_KEY_URI
names, or, where that names a key of a key management service, in keyset.json of the data directory,
encrypted by that key. Keep a copy of it apart from the backups of the store: without it they are
lost, and with it they are open.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := a.config
			place, isFile := strings.CutPrefix(c.keyURI(), "file:")
			switch {
			case strings.HasPrefix(c.keyURI(), "env:"):
				return hint(fmt.Errorf("a keyset in an environment variable cannot be made here"),
					"make it in a file, with JIRAGATE_KEY_URI=file:PATH, and put its content into the variable")
			case !isFile:
				place = c.keysetFile()
			}
			if err := prepareDataDir(c.DataDir); err != nil {
				return err
			}
			if there, err := exists(place); err != nil {
				return err
			} else if there {
				return fmt.Errorf("there is a keyset in %s already", place)
			}
			if sealed, err := anythingSealed(c); err != nil {
				return err
			} else if sealed {
				return hint(fmt.Errorf("%s was sealed under a keyset that is not in %s, and a new one would not open it", c.DataDir, place),
					"put the keyset back, or set JIRAGATE_KEY_URI to where it is")
			}
			return a.record(cmd.Context(), "admin.key.init", func() error {
				k, err := openKeyset(cmd.Context(), c, true)
				if err != nil {
					return err
				}
				return a.printf("the keyset is in %s; its primary key is %d\n", escapeText(place), k.PrimaryKeyID())
			})
		},
	}
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
				rows = append(rows, []string{fmt.Sprint(k.ID), yes(k.Primary), strings.ToLower(k.Status), strconv.Itoa(k.Records), yes(k.CAKey)})
			}
			return writeTable(a.out, []string{"ID", "PRIMARY", "STATUS", "RECORDS", "CA KEY"}, rows)
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
	return &cobra.Command{
		Use:   "rotate",
		Short: "Add a new primary key to the keyset, which seals from now on",
		Long: `Add a new primary key to the keyset. It seals from now on; the old keys still open what they sealed.
Copy the keyset afterwards: backups that are made from now on need the new one. Then seal everything
anew with key rewrap.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var rotated admin.Rotated
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, keysPath+"/rotate", nil, &rotated)
			})
			if err != nil {
				return err
			}
			return a.printf("the primary key is %d now; jiragate key rewrap seals under it what the old keys have sealed\n", rotated.Primary)
		},
	}
}

func newKeyRewrap(a *app) *cobra.Command {
	var drop bool
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Seal everything anew under the primary key",
		Long: `Seal everything anew that is not under the primary key: each credential under a new data key, some at
a time, while calls go on; and the key of the CA. It can be interrupted and run again.

With --drop-old-keys, the keys under which nothing is left are removed from the keyset. Backups of the
store that were made before do not open then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var dropped admin.Dropped
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
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
				return s.call(cmd.Context(), http.MethodPost, keysPath+"/drop", nil, &dropped)
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
	return cmd
}
