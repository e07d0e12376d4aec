package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/tokenstore/keyset"
)

func newKey(a *app) *cobra.Command {
	return group("key", "Key: the master keyset that seals the store and the CA key", newKeyInit(a))
}

func newKeyInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make the master keyset",
		Long: `Make the master keyset in the file that JIRAGATE_KEY_URI names, as the gateway does at its first
start. Keep a copy of it apart from the backups of the store: without it they are lost, and
with it they are open.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c := a.config
			path, isFile := strings.CutPrefix(c.keyURI(), "file:")
			if !isFile {
				return fmt.Errorf("only a keyset in a file can be made, and JIRAGATE_KEY_URI names something else")
			}
			if err := prepareDataDir(c.DataDir); err != nil {
				return err
			}
			if there, err := exists(path); err != nil {
				return err
			} else if there {
				return fmt.Errorf("there is a keyset in %s already", path)
			}
			if sealed, err := anythingSealed(c); err != nil {
				return err
			} else if sealed {
				return hint(fmt.Errorf("%s was sealed under a keyset that is not in %s, and a new one would not open it", c.DataDir, path),
					"put the keyset back, or set JIRAGATE_KEY_URI to where it is")
			}
			k, err := keyset.Open(c.keyURI(), keyset.Options{Create: true})
			if err != nil {
				return err
			}
			return a.printf("the keyset is in %s; its primary key is %d\n", escapeText(path), k.PrimaryKeyID())
		},
	}
}
