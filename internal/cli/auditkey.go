package cli

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

func newAuditKey(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show the public audit key, which signs checkpoints and what the gateway publishes",
		Long: `Show the public half of the audit key. Give it to customers by another way than the documents that it
signs. First come the keys in the form of signed notes (C2SP signed-note), one a line, which is what audit
verify --public-key reads; the last one signs. Then that one for OpenSSL.`,
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
			return a.writeAuditKey(key)
		},
	}
	outputFlag(cmd, &output)
	cmd.AddCommand(newAuditKeyRotate(a))
	return cmd
}

func (a *app) writeAuditKey(key admin.AuditKey) error {
	if len(key.Verifiers) == 0 { // a gateway of another version
		key.Verifiers = []string{key.Verifier}
	}
	return a.printf("%s\n\n%s", strings.Join(key.Verifiers, "\n"), key.PEM)
}

func newAuditKeyRotate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Make a new audit key, which signs from now on",
		Long: `Make a new audit key, which signs checkpoints and publications from now on. The key before it endorses
it, in a note beside the audit log: who trusts an earlier key can verify what the new one signs. Copy
audit-key.json afterwards, and give customers the new public key for what is published. Against a key
that was stolen a rotation does not help: who has it can endorse another.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var key admin.AuditKey
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, "/v1/audit/key/rotate", nil, &key)
			})
			if err != nil {
				return err
			}
			return a.writeAuditKey(key)
		},
	}
}
