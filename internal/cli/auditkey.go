package cli

import (
	"net/http"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

func newAuditKey(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show the public audit key, which signs what the gateway publishes",
		Long: `Show the public half of the audit key. Give it to customers by another way than the documents that it
signs. The first form is that of signed notes (C2SP signed-note), the second for OpenSSL.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var key admin.AuditKey
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodGet, "/v1/audit/key", nil, &key)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, key)
			}
			return a.printf("%s\n\n%s", key.Verifier, key.PEM)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
