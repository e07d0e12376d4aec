package cli

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

const clientsPath = "/v1/clients"

func clientPath(name string, more ...string) string {
	path := clientsPath + "/" + url.PathEscape(name)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

func newClient(a *app) *cobra.Command {
	return group("client", "Clients: internal services that may use the gateway",
		newClientAdd(a),
		newClientList(a),
		newClientRotate(a),
		newClientRemove(a),
		newClientGrant(a, "grant", http.MethodPut, "Let a client use a connection", "client %s may use connection %s\n"),
		newClientGrant(a, "revoke", http.MethodDelete, "No longer let a client use a connection", "client %s may no longer use connection %s\n"),
	)
}

const tokenHelp = `
A token that is made here is shown this once and cannot be shown again: only its digest is stored.
With --token-file the client brings a token of its own, at least 32 characters of visible ASCII; only
--output json repeats it, so that it has the same form either way.`

func newClientAdd(a *app) *cobra.Command {
	var (
		request   admin.NewClient
		tokenFile string
		output    outputFormat
	)
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a client and show its token",
		Long:  "Add a client, and let it use connections.\n" + tokenHelp,
		Example: `  jiragate client add billing --connection acme --output json
  jiragate client add reports --connection acme --connection globex --token-file -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Name = args[0]
			if tokenFile != "" {
				var err error
				if request.Token, err = a.readClientToken(tokenFile); err != nil {
					return err
				}
			}
			body, err := request.Encode()
			if err != nil {
				return err
			}
			return a.issueToken(cmd.Context(), clientsPath, body, request.Token, output)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&request.Connections, "connection", nil, "a connection that it may use; can be repeated")
	flags.StringArrayVar(&request.CertificateSANs, "certificate-san", nil, "dns:NAME or uri:URI in its client certificate; can be repeated (dns:NAME of its own always counts)")
	flags.StringVar(&tokenFile, "token-file", "", "holds a token that it brings, or - for standard input")
	outputFlag(cmd, &output)
	return cmd
}

func newClientRotate(a *app) *cobra.Command {
	var (
		request   admin.NewClientToken
		tokenFile string
		output    outputFormat
	)
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give a client a new token; the old one ends at once",
		Long:  "Give a client a new token. The old one ends at once, in open tunnels too.\n" + tokenHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if tokenFile != "" {
				var err error
				if request.Token, err = a.readClientToken(tokenFile); err != nil {
					return err
				}
			}
			body, err := request.Encode()
			if err != nil {
				return err
			}
			return a.issueToken(cmd.Context(), clientPath(args[0], "token"), body, request.Token, output)
		},
	}
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "holds a token that it brings, or - for standard input")
	outputFlag(cmd, &output)
	return cmd
}

// issueToken posts a request whose answer holds a token, unless one was
// brought, and shows it.
func (a *app) issueToken(ctx context.Context, path string, body []byte, brought secret.Secret, output outputFormat) error {
	var issued admin.IssuedToken
	err := a.withSession(ctx, existingStore, func(s *session) error {
		return s.call(ctx, http.MethodPost, path, body, &issued)
	})
	if err != nil {
		return err
	}
	token := issued.Token
	switch {
	case output == asJSON && token == "":
		issued.Token = brought.Reveal()
		fallthrough
	case output == asJSON:
		return writeJSON(a.out, issued)
	case token == "":
		token = "the one that was brought"
	}
	return writeFields(a.out, [][2]string{{"client", issued.Name}, {"token", token}})
}

func newClientList(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clients and what they may use",
		Long:  "List the clients, sorted by name: all of them, or those that every flag given applies to.",
		Args:  cobra.NoArgs,
	}
	filters := filterFlags(cmd,
		listFilter{"connection", "only those that may use this connection"},
		listFilter{"text", "only those with this in their name, in upper or lower case"},
		afterFilter,
	)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := listed[admin.Client](a, cmd, clientsPath, filters)
		if err != nil {
			return err
		}
		if output == asJSON {
			return writeJSON(a.out, list)
		}
		var rows [][]string
		for _, c := range list {
			rows = append(rows, []string{c.Name, strings.Join(c.Connections, " "), strings.Join(c.CertificateSANs, " "), timeText(c.TokenRotatedAt)})
		}
		return writeTable(a.out, []string{"NAME", "CONNECTIONS", "CERTIFICATE SANS", "TOKEN SINCE"}, rows)
	}
	outputFlag(cmd, &output)
	return cmd
}

func newClientRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a client; its token ends at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodDelete, clientPath(args[0]), nil, nil)
			})
			if err != nil {
				return err
			}
			return a.printf("client %s is removed\n", escapeText(args[0]))
		},
	}
}

func newClientGrant(a *app, action, method, short, done string) *cobra.Command {
	return &cobra.Command{
		Use:   action + " NAME CONNECTION",
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), method, clientPath(args[0], "grants", args[1]), nil, nil)
			})
			if err != nil {
				return err
			}
			return a.printf(done, escapeText(args[0]), escapeText(args[1]))
		},
	}
}
