package cli

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

const connectionsPath = "/v1/connections"

func connectionPath(id string, more ...string) string {
	path := connectionsPath + "/" + url.PathEscape(id)
	for _, m := range more {
		path += "/" + m
	}
	return path
}

func newConnection(a *app) *cobra.Command {
	return group("connection", "Connections: customers' Jira sites and what opens them",
		newConnectionAdd(a),
		newConnectionCredential(a),
		newConnectionList(a),
		newConnectionShow(a),
		newConnectionTest(a),
		newConnectionState(a, "disable", "Refuse all calls of a connection until it is enabled again"),
		newConnectionState(a, "enable", "Let calls of a connection through again"),
		newConnectionRemove(a),
	)
}

func newConnectionList(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the connections",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []admin.Connection
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodGet, connectionsPath, nil, &list)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, list)
			}
			var rows [][]string
			for _, c := range list {
				rows = append(rows, []string{c.ID, c.Edition, siteOf(c), c.Region, c.Credential, c.State})
			}
			return writeTable(a.out, []string{"ID", "EDITION", "SITE", "REGION", "CREDENTIAL", "STATE"}, rows)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// siteOf is the URL that a person knows the connection by.
func siteOf(c admin.Connection) string {
	if c.SiteURL != "" {
		return c.SiteURL
	}
	return c.BaseURL
}

func newConnectionShow(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one connection; never its credential",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c admin.Connection
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodGet, connectionPath(args[0]), nil, &c)
			})
			if err != nil {
				return err
			}
			return a.writeConnection(c, output)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) writeConnection(c admin.Connection, output outputFormat) error {
	if output == asJSON {
		return writeJSON(a.out, c)
	}
	upstreamCA := ""
	if c.UpstreamCA != "" {
		upstreamCA = "its own CA certificates besides the gateway's roots"
	}
	return writeFields(a.out, [][2]string{
		{"id", c.ID},
		{"edition", c.Edition},
		{"site url", c.SiteURL},
		{"cloud id", c.CloudID},
		{"base url", c.BaseURL},
		{"region", c.Region},
		{"credential", c.Credential},
		{"scopes", strings.Join(c.Scopes, " ")},
		{"trusts", upstreamCA},
		{"state", c.State},
		{"reason", c.StateReason},
		{"since", timeText(c.StateSince)},
		{"created", timeText(c.CreatedAt)},
		{"updated", timeText(c.UpdatedAt)},
	})
}

func newConnectionState(a *app, action, short string) *cobra.Command {
	return &cobra.Command{
		Use:   action + " ID",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c admin.Connection
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, connectionPath(args[0], action), nil, &c)
			})
			if err != nil {
				return err
			}
			return a.printf("connection %s is %s\n", c.ID, c.State)
		},
	}
}

func newConnectionRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a connection with its credential, its grants and its published issues",
		Long: `Remove a connection with its credential, the grants to it, and what is known of the issues that
were published through it. Jira is not told: revoke the access there as well.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodDelete, connectionPath(args[0]), nil, nil)
			})
			if err != nil {
				return err
			}
			return a.printf("connection %s is removed\n", escapeText(args[0]))
		},
	}
}
