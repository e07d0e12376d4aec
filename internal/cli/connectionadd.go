package cli

import (
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/policy"
	"jiragate/tokenstore"
)

const credentialHelp = `
Secrets are read from a file, or from standard input where the file is -. An OAuth token file is a
JSON object: {"access_token": ..., "refresh_token": ..., "expiry": RFC 3339, "scope": "read:jira-work ..."}.
Of a secret file one line break at the end is left out.`

func newConnectionAdd(a *app) *cobra.Command {
	var (
		request    admin.NewConnection
		edition    string
		region     string
		upstreamCA string
		auth       authFlags
		link       linkFlags
		output     outputFormat
	)
	cmd := &cobra.Command{
		Use:   "add ID",
		Short: "Add a connection, with its credential or a link to the consent",
		Long: `Add a connection. With a credential it can be used at once. Without one, for Cloud and for --auth
oauth2 and oauth1, it waits for the consent of an administrator of its Jira, and a link is printed
for them. An id that exists is refused; connection credential gives an existing connection a new token
or password, connection consent a new link.
` + credentialHelp,
		Example: `  jiragate connection add acme --edition cloud --site-url https://acme.atlassian.net
  jiragate connection add acme --edition cloud --site-url https://acme.atlassian.net \
      --cloud-id 11111111-2222-3333-4444-555555555555 --oauth-token-file token.json
  jiragate connection add globex --edition datacenter --base-url https://jira.globex.com/jira \
      --auth basic --username integration --secret-file -
  jiragate connection add initech --edition datacenter --base-url https://jira.initech.com \
      --auth oauth2 --client-id CLIENT_ID --secret-file client-secret
  jiragate connection add umbrella --edition datacenter --base-url https://jira.umbrella.com \
      --auth oauth1 --consumer-key jiragate`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.ID = args[0]
			request.Region = tokenstore.Region(region)
			var err error
			if request.Edition, err = policy.ParseEdition(edition); err != nil {
				return usage("--edition: %v", err)
			}
			if err := checkEditionFlags(request, auth); err != nil {
				return err
			}
			if upstreamCA != "" {
				pem, err := os.ReadFile(upstreamCA)
				if err != nil {
					return fmt.Errorf("reading --upstream-ca-file: %w", err)
				}
				request.UpstreamCA = string(pem)
			}
			if request.Credential, err = a.readNewCredential(request.Edition, auth); err != nil {
				return err
			}
			request.ExpiresIn = link.expiresIn
			body, err := request.Encode()
			if err != nil {
				return err
			}
			var added admin.Invited
			err = a.withSession(cmd.Context(), freshStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, connectionsPath, body, &added)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, added)
			}
			if added.ConsentURL != "" {
				return a.writeInvited(added, "is added")
			}
			return a.printf("connection %s is added (%s, %s, region %s)\n", added.ID, added.Edition, added.Credential, added.Region)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&edition, "edition", "", "cloud or datacenter (Data Center and Server)")
	flags.StringVar(&request.SiteURL, "site-url", "", "the site of Jira Cloud, as https://acme.atlassian.net")
	flags.StringVar(&request.CloudID, "cloud-id", "", "the site's cloud id, a UUID")
	flags.StringVar(&request.BaseURL, "base-url", "", "where a Data Center answers, as https://jira.acme.com/jira")
	flags.StringVar(&region, "region", "", "us or eu (default: the gateway's own, JIRAGATE_REGION)")
	flags.StringVar(&upstreamCA, "upstream-ca-file", "", "CA certificates (PEM) to trust for this Jira as well")
	auth.addTo(cmd)
	auth.addClientTo(cmd)
	link.addTo(cmd)
	outputFlag(cmd, &output)
	return cmd
}

// checkEditionFlags says early, in words of flags, what belongs together.
func checkEditionFlags(n admin.NewConnection, auth authFlags) error {
	switch n.Edition {
	case policy.Cloud:
		switch {
		case n.BaseURL != "":
			return usage("--base-url belongs to --edition datacenter")
		case auth.oauthTokenFile != "" && (n.SiteURL == "" || n.CloudID == ""):
			return usage("--oauth-token-file needs --site-url and --cloud-id")
		case auth.oauthTokenFile == "" && (auth.method != "" && auth.method != string(tokenstore.KindOAuth2) || auth.any()):
			return usage("--edition cloud takes --oauth-token-file, or nothing: then an administrator of the site is asked for consent")
		}
	case policy.DataCenter:
		switch {
		case n.BaseURL == "":
			return usage("--edition datacenter needs --base-url")
		case n.SiteURL != "" || n.CloudID != "":
			return usage("--site-url and --cloud-id belong to --edition cloud")
		case auth.oauthTokenFile != "":
			return usage("--oauth-token-file belongs to --edition cloud")
		case auth.method == "":
			return usage("--edition datacenter needs --auth basic, pat, oauth2 or oauth1")
		}
	}
	return nil
}

func newConnectionCredential(a *app) *cobra.Command {
	var auth authFlags
	cmd := &cobra.Command{
		Use:   "credential ID",
		Short: "Give a connection a new credential, as after a new consent or password",
		Long: `Give a connection a new credential of the kind that it has. A connection in the state
needs_reauthorisation becomes active; a disabled one stays disabled. For --auth oauth2 it is a new client
secret of the link in Jira: the grant stays. What a consent brings, connection consent replaces.
` + credentialHelp,
		Example: `  jiragate connection credential acme --oauth-token-file token.json
  jiragate connection credential globex --auth basic --username integration --secret-file -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cred, err := a.readNewCredential(policy.DataCenter, auth)
			if err != nil {
				return err
			}
			body, err := admin.EncodeCredential(cred)
			if err != nil {
				return err
			}
			var c admin.Connection
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPut, connectionPath(args[0], "credential"), body, &c)
			})
			if err != nil {
				return err
			}
			return a.printf("connection %s has a new credential and is %s\n", c.ID, c.State)
		},
	}
	auth.addTo(cmd)
	auth.addClientTo(cmd)
	return cmd
}
