package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

// configView is the result of config as JSON.
type configView struct {
	OK       bool            `json:"ok"` // serve would start with it, as far as can be told without the data directory
	Settings []setting       `json:"settings"`
	Problems []configProblem `json:"problems,omitempty"`
}

type configProblem struct {
	Variable string `json:"variable,omitempty"`
	Detail   string `json:"detail"`
	Hint     string `json:"hint,omitempty"`
}

func newConfig(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show every setting, where it comes from, and whether serve would start with it",
		Long: `Show every variable with its value, where that comes from, and its default, and check them, without
starting anything; the files that they name are read. Secrets are not shown, nor what may be one.
--output json adds what each means, as serve --help does. The exit code is 2 if a variable is wrong,
and 1 if a file is.`,
		Args: cobra.NoArgs,
		// A broken environment is what this command is for, so it replaces the check
		// that all others begin with.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			c, err := ParseConfig(a.environ)
			list := settings(c, a.environ, err)
			if err == nil {
				a.begun = true
				err = c.checkFiles()
			}
			return errors.Join(a.showSettings(output, list, err), err)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) showSettings(output outputFormat, list []setting, err error) error {
	if output == asJSON {
		return writeJSON(a.out, configView{OK: err == nil, Settings: list, Problems: configProblems(err)})
	}
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{s.Name, s.Value, s.Source, s.Default})
	}
	return writeTable(a.out, []string{"NAME", "VALUE", "SOURCE", "DEFAULT"}, rows)
}

func configProblems(err error) []configProblem {
	if err == nil {
		return nil
	}
	var list []configProblem
	if parts := joined(err); parts != nil {
		for _, e := range parts {
			list = append(list, configProblems(e)...)
		}
		return list
	}
	p := configProblem{Detail: err.Error()}
	if c, ok := errors.AsType[*ConfigError](err); ok {
		p = configProblem{c.Variable, c.Detail, c.Hint}
	}
	if h, ok := errors.AsType[*hinted](err); ok {
		p.Hint = h.hint
	}
	return []configProblem{p}
}

// checkFiles reads the files that the settings name, as serve would, but nothing of
// the data directory. The error joins one for each thing that is wrong.
func (c *Config) checkFiles() error {
	if err := c.checkAccess(); err != nil {
		return err
	}
	_, policy := openPolicy(c.PolicyFile)
	_, proxy := proxyTLS(*c)
	_, admin := webTLS(c.AdminTLSCert, c.AdminTLSKey, "JIRAGATE_ADMIN_TLS_CERT and _KEY")
	_, public := webTLS(c.PublicTLSCert, c.PublicTLSKey, "JIRAGATE_PUBLIC_TLS_CERT and _KEY")
	_, _, roots := upstreamRoots(c.UpstreamCAFile)
	problems := []error{policy, proxy, admin, public, roots}
	for _, s := range []struct{ variable, file string }{
		{"OAUTH_CLIENT_SECRET_FILE", c.OAuthClientSecretFile}, {"WEBHOOK_SECRET_FILE", c.WebhookSecretFile},
		{"OIDC_CLIENT_SECRET_FILE", c.OIDCSecretFile}, {"AUDIT_CHECKPOINT_TOKEN_FILE", c.CheckpointTokenFile},
	} {
		_, err := readSettingSecret(s.variable, s.file)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
