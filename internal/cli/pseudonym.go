package cli

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit/privacy"
	"jiragate/tokenstore/keyset"
)

// openPrivacy opens what masks identifiers, and makes its key at first use.
func openPrivacy(c Config, keys *keyset.Live) (*privacy.Masker, error) {
	return privacy.Open(privacy.Options{
		Identifiers: c.AuditIdentifiers,
		ClientAddr:  c.AuditClientAddr,
		Path:        c.pseudonymFile(),
		Sealer:      keys,
	})
}

// pseudonymKey is the key of pseudonyms as the admin API needs it: there may be one
// although nothing is pseudonymised any more.
func pseudonymKey(c Config, keys *keyset.Live) admin.PseudonymKey {
	return admin.PseudonymKey{
		Open: func() (admin.Pseudonymiser, error) {
			key, err := privacy.OpenKey(c.pseudonymFile(), keys)
			if err != nil {
				return nil, err
			}
			return key, nil
		},
		Reseal: func() (bool, error) { return privacy.Reseal(c.pseudonymFile(), keys) },
		SealedUnder: func() (uint32, error) {
			id, ok, err := privacy.SealedUnder(c.pseudonymFile())
			if err == nil && !ok {
				err = fmt.Errorf("%s: the key in it is not sealed as the keyset seals, so that it can't be told which of its keys it needs", c.pseudonymFile())
			}
			return id, err
		},
	}
}

func newAuditPseudonym(a *app) *cobra.Command {
	var asked admin.PseudonymRequest
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "pseudonym [VALUE]",
		Short: "Show the pseudonym that call records have for an issue, a project or a client's address",
		Long: `Show the pseudonym that call records have for an identifier in a path, an issue key for example, while
JIRAGATE_AUDIT_IDENTIFIERS is pseudonymise. Each connection has its own; records that name no connection have
that of no --connection. An issue's key and its id are two identifiers.

With --client-addr, show that of a client's IP address.`,
		Example: `  jiragate audit query --text "$(jiragate audit pseudonym --connection acme ACME-1)"
  jiragate audit pseudonym --client-addr 192.0.2.7`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case asked.ClientAddr != "" && (len(args) > 0 || asked.Connection != ""):
				return usage("--client-addr goes instead of VALUE and --connection")
			case asked.ClientAddr == "" && (len(args) == 0 || args[0] == ""):
				return usage("name the identifier, or the address with --client-addr")
			case len(args) > 0:
				asked.Value = args[0]
			}
			body, err := json.Marshal(asked)
			if err != nil {
				return err
			}
			var p admin.Pseudonym
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, "/v1/audit/pseudonym", body, &p)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, p)
			}
			return a.printf("%s\n", p.Pseudonym)
		},
	}
	cmd.Flags().StringVar(&asked.Connection, "connection", "", "the connection whose records are meant")
	cmd.Flags().StringVar(&asked.ClientAddr, "client-addr", "", "the IP address of a client, instead")
	outputFlag(cmd, &output)
	return cmd
}
