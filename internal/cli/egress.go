package cli

import (
	"net/http"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

func newEgress(a *app) *cobra.Command {
	return group("egress", "Egress: the addresses from which calls leave", newEgressList(a))
}

func newEgressList(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the region's egress addresses",
		Long: `List the egress addresses of the region, those that customers put on their allowlists, with the
local addresses that sockets are bound to. None means that calls leave unpinned.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var view admin.EgressView
			err := a.withSession(cmd.Context(), noStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodGet, "/v1/egress", nil, &view)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, view)
			}
			var rows [][]string
			for _, e := range view.Addresses {
				rows = append(rows, []string{view.Region, e.Public, e.Local})
			}
			if len(rows) == 0 {
				rows = append(rows, []string{view.Region, "unpinned", "the system's choice"})
			}
			return writeTable(a.out, []string{"REGION", "PUBLIC", "LOCAL"}, rows)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
