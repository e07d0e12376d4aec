package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/tokenstore"
)

func newIssue(a *app) *cobra.Command {
	return group("issue", "Issue: the published issues, which are those that may be deleted", newIssueImport(a))
}

func newIssueImport(a *app) *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import issues that were published before the gateway existed",
		Long: `Import issues that were published before there was a gateway, so that they may be deleted through it
(JIRAGATE_DELETE=published). The list names ` + issueListForms + `.
With - it is read from standard input.

A list that is not in order is refused as a whole. Issues that are known already stay as they are, so
an import that was interrupted can be repeated. Jira is not asked.`,
		Example: `  jiragate issue import --connection acme published.csv`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if connection == "" {
				return usage("--connection is needed: whose issues they are")
			}
			if err := tokenstore.ValidConnectionID(connection); err != nil {
				return err
			}
			list, err := a.readIssueList(args[0], connection)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			var added int
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				added, err = importIssues(cmd.Context(), s, connection, list)
				return err
			})
			if err != nil {
				return err
			}
			return a.printf("%d issues of connection %s are imported; %d were known\n", added, connection, len(list)-added)
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "the connection that published them")
	return cmd
}

func (a *app) readIssueList(path, connection string) ([]tokenstore.PublishedIssue, error) {
	if path == "-" {
		return parseIssueList(a.in, connection)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	return parseIssueList(io.Reader(f), connection)
}

// importIssues sends the list in parts. What was sent stays if a later part fails.
func importIssues(ctx context.Context, s *session, connection string, list []tokenstore.PublishedIssue) (added int, err error) {
	for part := range slices.Chunk(list, tokenstore.MaxImport) {
		var body admin.ImportIssues
		for _, i := range part {
			body.Issues = append(body.Issues, admin.ImportedIssue{ID: i.ID, Key: i.Key, CreatedAt: i.CreatedAt})
		}
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return added, err
		}
		var imported admin.IssuesImported
		if err := s.call(ctx, http.MethodPost, connectionPath(connection, "issues"), b.Bytes(), &imported); err != nil {
			return added, fmt.Errorf("after %d issues were imported: %w", added, err)
		}
		added += imported.Added
	}
	return added, nil
}
