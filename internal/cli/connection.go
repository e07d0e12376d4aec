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
		newConnectionConsent(a),
		newConnectionList(a),
		newConnectionShow(a),
		newConnectionTest(a),
		newConnectionState(a, "disable", "Refuse all calls of a connection until it is enabled again"),
		newConnectionState(a, "enable", "Let calls of a connection through again"),
		newConnectionRemove(a),
	)
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
	fields := [][2]string{
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
	}
	if g := c.Grant; g != nil {
		rotation := ""
		if g.Rotation != "" {
			rotation = g.Rotation + " since " + timeText(g.RotationSince)
		}
		fields = append(fields, [][2]string{
			{"consented", timeText(g.ConsentedAt)},
			{"token ends", timeText(g.AccessExpiresAt)},
			{"next refresh", timeText(g.NextRefreshAt)},
			{"rotation", rotation},
			{"lapses unused", timeText(g.LapsesAt)},
			{"grant ends", timeText(g.EndsAt)},
		}...)
	}
	fields = append(fields, [][2]string{{"consumer key", c.ConsumerKey}, {"callback url", c.CallbackURL}}...)
	if err := writeFields(a.out, fields); err != nil {
		return err
	}
	if c.PublicKey == "" {
		return nil
	}
	return a.printf("\n%s", c.PublicKey)
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
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a connection: revoke its grant, destroy its credential, forget the rest",
		Long: `Remove a connection. Its grant is revoked at Jira where Jira offers that; the key under which its
credential is sealed is destroyed; the grants to it, and what is known of the issues that were published
through it, are forgotten. What remains to be done in Jira is printed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var removal admin.Removal
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodDelete, connectionPath(args[0]), nil, &removal)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, removal)
			}
			if err := a.printf("connection %s is removed\n", escapeText(removal.ID)); err != nil {
				return err
			}
			switch {
			case removal.Revocation == "failed":
				a.warn("its grant could not be revoked at Jira")
			case removal.Revocation == "done":
				return a.printf("its grant is revoked at Jira\n")
			}
			if removal.Detail == "" {
				return nil
			}
			return a.printf("still to do: %s\n", escapeText(removal.Detail))
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
