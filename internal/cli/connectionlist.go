package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

// listFilter is a flag of a list command that becomes a parameter of the query.
type listFilter struct{ name, usage string }

// filterFlags gives cmd the flags, and --limit, and returns a function that makes the
// query of those that were given.
func filterFlags(cmd *cobra.Command, filters ...listFilter) func() (url.Values, error) {
	flags := cmd.Flags()
	values := make([]string, len(filters))
	for i, f := range filters {
		flags.StringVar(&values[i], f.name, "", f.usage)
	}
	limit := flags.Int("limit", 0, fmt.Sprintf("no more than this many, 1 to %d (default all)", admin.MaxPage))
	return func() (url.Values, error) {
		query := url.Values{}
		for i, f := range filters {
			if flags.Changed(f.name) {
				query.Set(f.name, values[i])
			}
		}
		if flags.Changed("limit") {
			if *limit < 1 || *limit > admin.MaxPage {
				return nil, usage("--limit is how many to list: use 1 to %d", admin.MaxPage)
			}
			query.Set("limit", strconv.Itoa(*limit))
		}
		return query, nil
	}
}

// afterFilter goes on where a list with a limit ended.
var afterFilter = listFilter{"after", "only those behind this one, where a list with --limit ended"}

// listed asks for the rows of a list that filters chooses, and warns if there are more
// than a limit let through.
func listed[T any](a *app, cmd *cobra.Command, path string, filters func() (url.Values, error)) (rows []T, err error) {
	query, err := filters()
	if err != nil {
		return nil, err
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
		resp, err := s.send(cmd.Context(), http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close() // read to its end or given up
		if err := json.NewDecoder(resp.Body).Decode(&rows); err != nil {
			return fmt.Errorf("reading the answer of the admin API: %w", err)
		}
		if resp.Header.Get("Link") != "" {
			a.warn(fmt.Sprintf("these are %d of %s: --after with the last of them goes on", len(rows), resp.Header.Get("Total-Count")))
		}
		return nil
	})
	return rows, err
}

func newConnectionList(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the connections",
		Long: `List the connections, sorted by id: all of them, or those that every flag given applies to. With
--limit the JSON has what "connection show" has of each, and the last call.`,
		Example: `  jiragate connection list --state needs_reauthorisation
  jiragate connection list --edition datacenter --text acme --limit 20`,
		Args: cobra.NoArgs,
	}
	filters := filterFlags(cmd,
		listFilter{"state", "only those that are active, expiring, needs_reauthorisation or disabled"},
		listFilter{"edition", "only those of cloud or datacenter"},
		listFilter{"region", "only those of us or eu"},
		listFilter{"client", "only those that this client may use"},
		listFilter{"text", "only those with this in their id, site URL or base URL, in upper or lower case"},
		afterFilter,
	)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := listed[admin.Connection](a, cmd, connectionsPath, filters)
		if err != nil {
			return err
		}
		if output == asJSON {
			return writeJSON(a.out, list)
		}
		var rows [][]string
		for _, c := range list {
			rows = append(rows, []string{c.ID, c.Edition, siteOf(c), c.Region, c.Credential, c.State, timeText(c.StateSince), c.StateReason})
		}
		return writeTable(a.out, []string{"ID", "EDITION", "SITE", "REGION", "CREDENTIAL", "STATE", "SINCE", "REASON"}, rows)
	}
	outputFlag(cmd, &output)
	return cmd
}
