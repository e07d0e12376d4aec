package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/policy"
)

func newPolicyDiff(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "diff POLICY POLICY",
		Short: "Say in words what changed from one policy to another",
		Long: `Say in words what changed from the first policy to the second, and what each change does to the calls
that are allowed. What is compared is what the policies mean: comments and the order of names make
another SHA-256, and no change. The exit code is 0 whether there are changes or not.

` + namingHelp,
		Example: `  jiragate policy diff b917c65f current
  jiragate policy diff current ./stricter.yaml --output json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var policies [2]*policy.Policy
			for i, name := range args {
				archive, err := a.archivedPolicy(name)
				if err != nil {
					return err
				}
				if policies[i], err = compilePolicy(name, archive); err != nil {
					return err
				}
			}
			return a.writeDiff(admin.DiffPolicies(policies[0], policies[1]), output)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) writeDiff(d admin.PolicyDiff, output outputFormat) error {
	if output == asJSON {
		return writeJSON(a.out, d)
	}
	err := writeFields(a.out, [][2]string{
		{"from", fmt.Sprintf("%s (catalogue %s)", d.From.SHA256, d.From.Version)},
		{"to", fmt.Sprintf("%s (catalogue %s)", d.To.SHA256, d.To.Version)},
		{"in all", d.Summary},
	})
	if err != nil || len(d.Changes) == 0 {
		return err
	}
	rows := make([][]string, len(d.Changes))
	for i, c := range d.Changes {
		rows[i] = []string{string(c.Effect), c.Text}
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	return writeTable(a.out, []string{"EFFECT", "CHANGE"}, rows)
}
