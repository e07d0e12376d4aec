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
		output     outputFormat
	)
	cmd := &cobra.Command{
		Use:   "add ID",
		Short: "Add a connection with its credential",
		Long: `Add a connection with its credential. An id that exists is refused; connection credential gives
an existing connection a new token or password.
` + credentialHelp,
		Example: `  jiragate connection add acme --edition cloud --site-url https://acme.atlassian.net \
      --cloud-id 11111111-2222-3333-4444-555555555555 --oauth-token-file token.json
  jiragate connection add globex --edition datacenter --base-url https://jira.globex.com/jira \
      --auth basic --username integration --secret-file -`,
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
			if request.Credential, err = a.readCredential(auth); err != nil {
				return err
			}
			body, err := request.Encode()
			if err != nil {
				return err
			}
			var c admin.Connection
			err = a.withSession(cmd.Context(), freshStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, connectionsPath, body, &c)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, c)
			}
			return a.printf("connection %s is added (%s, %s, region %s)\n", c.ID, c.Edition, c.Credential, c.Region)
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
	outputFlag(cmd, &output)
	return cmd
}

// checkEditionFlags says early, in words of flags, what belongs together.
func checkEditionFlags(n admin.NewConnection, auth authFlags) error {
	switch n.Edition {
	case policy.Cloud:
		switch {
		case n.SiteURL == "" || n.CloudID == "":
			return usage("--edition cloud needs --site-url and --cloud-id")
		case n.BaseURL != "":
			return usage("--base-url belongs to --edition datacenter")
		case auth.oauthTokenFile == "":
			return usage("--edition cloud needs --oauth-token-file")
		}
	case policy.DataCenter:
		switch {
		case n.BaseURL == "":
			return usage("--edition datacenter needs --base-url")
		case n.SiteURL != "" || n.CloudID != "":
			return usage("--site-url and --cloud-id belong to --edition cloud")
		case auth.method == "":
			return usage("--edition datacenter needs --auth basic or --auth pat, and --secret-file")
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
needs_reauthorisation becomes active; a disabled one stays disabled.
` + credentialHelp,
		Example: `  jiragate connection credential acme --oauth-token-file token.json
  jiragate connection credential globex --auth basic --username integration --secret-file -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cred, err := a.readCredential(auth)
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
	return cmd
}

// authFlags say where a credential is.
type authFlags struct {
	method         string
	username       string
	secretFile     string
	oauthTokenFile string
}

func (f *authFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.oauthTokenFile, "oauth-token-file", "", "OAuth token file (Cloud), or - for standard input")
	flags.StringVar(&f.method, "auth", "", "basic or pat, a personal access token (Data Center)")
	flags.StringVar(&f.username, "username", "", "user name, for --auth basic")
	flags.StringVar(&f.secretFile, "secret-file", "", "holds the password or the token, or - for standard input")
}

func (a *app) readCredential(f authFlags) (tokenstore.Credential, error) {
	var none tokenstore.Credential
	if f.oauthTokenFile != "" {
		if f.method != "" || f.username != "" || f.secretFile != "" {
			return none, usage("--oauth-token-file goes without --auth, --username and --secret-file")
		}
		b, err := a.readSecretFile(f.oauthTokenFile)
		if err != nil {
			return none, err
		}
		c, err := parseOAuthToken(b)
		if err != nil {
			return none, fmt.Errorf("OAuth token file %s: %w", f.oauthTokenFile, err)
		}
		if c.RefreshToken.IsZero() {
			a.warn(fmt.Sprintf("there is no refresh token: the connection works until %s and then needs a new credential", timeText(c.Expiry)))
		}
		return c, nil
	}
	c := tokenstore.Credential{Kind: tokenstore.CredentialKind(f.method), Username: f.username}
	switch {
	case f.method == "":
		return none, usage("a credential is needed: --oauth-token-file, or --auth with --secret-file")
	case c.Kind != tokenstore.KindBasic && c.Kind != tokenstore.KindPAT:
		return none, usage("--auth %q is unknown: use basic or pat", f.method)
	case c.Kind == tokenstore.KindBasic && f.username == "":
		return none, usage("--auth basic needs --username")
	case c.Kind == tokenstore.KindPAT && f.username != "":
		return none, usage("--auth pat goes without --username")
	case f.secretFile == "":
		return none, usage("--auth %s needs --secret-file", f.method)
	}
	value, err := a.readSecret(f.secretFile)
	if err != nil {
		return none, err
	}
	if c.Kind == tokenstore.KindBasic {
		c.Password = value
	} else {
		c.Token = value
	}
	if err := c.Validate(); err != nil {
		return none, err
	}
	return c, nil
}
